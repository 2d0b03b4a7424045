/**
 * Revocations of clusters: statements of the ClusterSet's authority, carried by the registry, which can
 * withhold but not make them. Who has seen one keeps it until a newer one says otherwise.
 */

import type { ClusterRevocation } from '../../mesh/cluster-revocation.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { SignedStatement } from '../../mesh/signed-bundle.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import {
  formatRevocationStatement,
  formatSigned,
  parseSignedRevocation,
  type RevocationStatement,
} from '../../wire/signed-statement.ts';
import { isSignedByRootOf } from './statement-authority.ts';
import { type StatementSigner, signStatement } from './statement-signature.ts';

/** `authority`: the ClusterSet's root. */
export function signRevocation(
  statement: RevocationStatement,
  authority: StatementSigner,
): SignedStatement {
  const bytes = formatRevocationStatement(statement);
  return signStatement('cluster-revocation', bytes, [authority]);
}

/** `content` as the intent carries it. Throws PROTOCOL_VIOLATION, PERMISSION_DENIED. */
export function readRevocation(
  content: Uint8Array,
  clusterSetRoots: TrustBundle,
  nowMs: number,
): ClusterRevocation {
  const { clusterSet, signed, ...revocation } = parseSignedRevocation(content);
  // The issuer's certificate had to be good when it signed: a revocation does not end with it.
  const signedMs = Math.min(revocation.issuedAtMs, nowMs);
  if (
    clusterSet === clusterSetRoots.trustDomain &&
    isSignedByRootOf('cluster-revocation', signed, clusterSetRoots, signedMs)
  ) {
    return { ...revocation, signed };
  }
  throw new MeshError(
    'PERMISSION_DENIED',
    `revocation of "${revocation.cluster}" is not signed by the authority of ClusterSet "${clusterSetRoots.trustDomain}"`,
  );
}

export function formatRevocation({ signed }: ClusterRevocation): Uint8Array {
  return formatSigned(signed);
}
