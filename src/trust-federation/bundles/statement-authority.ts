/**
 * Whether a statement is signed by an authority of a trust bundle: with a root's key, or with that of a CA
 * the root made for the same trust domain, where the root's own key is kept away from the cluster.
 *
 * A root counts by being in the bundle, whatever the calendar says: what follows a version is its roots'
 * business, and an expired one could not be replaced otherwise.
 */

import { sameValue } from '../../mesh/collection.ts';
import type { SignedStatement } from '../../mesh/signed-bundle.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { caProblem, validityProblem } from '../peers/chain-rules.ts';
import { readableRoots } from '../peers/verify.ts';
import { isIssuedBy } from '../peers/vouched-certificates.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';
import { isSignedWith, type StatementKind } from './statement-signature.ts';

/** Never throws: statements may be anybody's. */
export function isSignedByRootOf(
  kind: StatementKind,
  { statement, signatures }: SignedStatement,
  bundle: TrustBundle,
  nowMs: number,
): boolean {
  return signatures.some(({ chain, signature }) => {
    const signer = authorityIn(bundle, chain, nowMs);
    return signer !== undefined && isSignedWith(kind, statement, signature, signer.publicKey);
  });
}

function authorityIn(
  bundle: TrustBundle,
  [first, ...above]: readonly Uint8Array[],
  nowMs: number,
): ParsedCertificate | undefined {
  if (first === undefined || above.length > 1) return undefined;
  const signer = readable(first);
  if (signer === undefined) return undefined;
  if (bundle.x509Authorities.some(root => sameValue(root, signer.der))) return signer;
  if (!mayActFor(bundle.trustDomain, signer, nowMs)) return undefined;
  return readableRoots(bundle).some(root => isIssuedBy(signer, root)) ? signer : undefined;
}

/** A shared root signs for several clusters: its word that this CA is this trust domain's decides. */
function mayActFor(trustDomain: TrustDomain, ca: ParsedCertificate, nowMs: number): boolean {
  const constraints = ca.nameConstraints;
  return (
    caProblem(ca, 0) === undefined &&
    validityProblem(ca, 'issuer', nowMs) === undefined &&
    sameValue(ca.uris, [`spiffe://${trustDomain}`]) &&
    (constraints === undefined ||
      (sameValue(constraints.permittedUris, [trustDomain]) && !constraints.otherForms))
  );
}

function readable(der: Uint8Array): ParsedCertificate | undefined {
  try {
    return parseCertificate(der);
  } catch {
    return undefined;
  }
}
