/**
 * Signed statements and the bundle versions in them, as bytes.
 *
 * A statement is signed as the bytes it travels in; nobody re-encodes it, so there is no canonical form to
 * disagree about. Reading checks shape and size only: what a signature is worth is for trust-federation.
 */

import { MeshError, messageOf } from '../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../mesh/names.ts';
import type { BundleOffer, SignedBundle, SignedStatement } from '../mesh/signed-bundle.ts';
import { parseTrustDomain, type TrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import { formatBundleDocument, parseBundleDocument } from './bundle-document.ts';
import * as pb from './generated/isthmus/trust/v1/trust.ts';

/** A reader who missed more changes of roots has to be told by an operator whom to trust. */
export const PREDECESSORS_MAX = 8;
/** Of one statement: the member's, and one for each root the cluster holds. */
const SIGNATURES_MAX = 16;
const CHAIN_CERTIFICATES_MAX = 5;

export function formatSigned({ statement, signatures }: SignedStatement): Uint8Array {
  return pb.SignedStatement.encode({
    statement: Buffer.from(statement),
    signatures: signatures.map(({ chain, signature }) => ({
      chain: chain.map(der => Buffer.from(der)),
      signature: Buffer.from(signature),
    })),
  }).finish();
}

/** Throws PROTOCOL_VIOLATION. */
export function parseSigned(bytes: Uint8Array): SignedStatement {
  const { statement, signatures } = reading('signed statement', () =>
    pb.SignedStatement.decode(bytes),
  );
  const longest = Math.max(0, ...signatures.map(({ chain }) => chain.length));
  if (signatures.length > SIGNATURES_MAX || longest > CHAIN_CERTIFICATES_MAX) {
    throw new MeshError(
      'PROTOCOL_VIOLATION',
      `signed statement has ${signatures.length} signatures of up to ${longest} certificates; at most ${SIGNATURES_MAX} of ${CHAIN_CERTIFICATES_MAX} are read`,
    );
  }
  return { statement, signatures };
}

/** What is signed for one version of a bundle. */
export function formatBundleStatement(
  clusterSet: TrustDomain,
  cluster: ClusterName,
  bundle: TrustBundle,
): Uint8Array {
  return pb.BundleStatement.encode({
    clusterSet,
    cluster,
    trustDomain: bundle.trustDomain,
    document: Buffer.from(formatBundleDocument(bundle)),
  }).finish();
}

/** Throws PROTOCOL_VIOLATION, LIMIT_EXCEEDED. */
export function parseSignedBundle(bytes: Uint8Array): SignedBundle {
  const signed = parseSigned(bytes);
  return reading('bundle statement', () => {
    const statement = pb.BundleStatement.decode(signed.statement);
    const trustDomain = parseTrustDomain(statement.trustDomain);
    return {
      ...signed,
      clusterSet: parseTrustDomain(statement.clusterSet),
      cluster: parseClusterName(statement.cluster),
      bundle: parseBundleDocument(statement.document, trustDomain),
    };
  });
}

/** A bundle record as it stands in the registry. Throws PROTOCOL_VIOLATION, LIMIT_EXCEEDED. */
export function parseBundleOffer(record: {
  readonly signed: Uint8Array;
  readonly predecessors: readonly Uint8Array[];
}): BundleOffer {
  const { signed, predecessors } = record;
  if (predecessors.length > PREDECESSORS_MAX) {
    throw new MeshError(
      'PROTOCOL_VIOLATION',
      `${predecessors.length} predecessors of a bundle; at most ${PREDECESSORS_MAX} are read`,
    );
  }
  return {
    current: parseSignedBundle(signed),
    predecessors: predecessors.map(parseSignedBundle),
  };
}

/** What the ClusterSet's authority signs about a member. */
export interface RevocationStatement {
  readonly clusterSet: TrustDomain;
  readonly cluster: ClusterName;
  /** False: restored. */
  readonly revoked: boolean;
  readonly issuedAtMs: number;
  readonly reason: string;
}

export function formatRevocationStatement(statement: RevocationStatement): Uint8Array {
  const issuedAtMs = BigInt(Math.round(statement.issuedAtMs));
  return pb.RevocationStatement.encode({ ...statement, issuedAtMs }).finish();
}

/** Throws PROTOCOL_VIOLATION. */
export function parseSignedRevocation(bytes: Uint8Array): RevocationStatement & {
  readonly signed: SignedStatement;
} {
  const signed = parseSigned(bytes);
  return reading('revocation statement', () => {
    const statement = pb.RevocationStatement.decode(signed.statement);
    return {
      clusterSet: parseTrustDomain(statement.clusterSet),
      cluster: parseClusterName(statement.cluster),
      revoked: statement.revoked,
      issuedAtMs: Number(statement.issuedAtMs),
      reason: statement.reason,
      signed,
    };
  });
}

function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof MeshError && cause.code !== 'NAME_INVALID') throw cause;
    throw new MeshError('PROTOCOL_VIOLATION', `${what}: ${messageOf(cause)}`, { cause });
  }
}
