/**
 * A root that was made elsewhere, judged before this cluster's authority signs with it.
 *
 * The root may name no trust domain (a company's CA does not know SPIFFE): then the configuration says
 * which it serves, and it may serve several. The CA that signs under such a shared root must be this
 * trust domain's alone, by name and by constraint, since nothing else would keep one cluster's CA from
 * speaking for another (docs/decisions/0038).
 */

import type { KeyObject } from 'node:crypto';
import { sameValue } from '../../mesh/collection.ts';
import { MeshError } from '../../mesh/errors.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import { caProblem, validityProblem } from '../peers/chain-rules.ts';
import { type Signer, signerOf } from '../x509/certificate.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';
import type { RootHolding } from './authority-journal.ts';

export interface RootMaterial {
  /** DER. */
  readonly root: Uint8Array;
  /** The CA that signs, DER; absent: the root itself. */
  readonly intermediate?: Uint8Array;
  /** Of the one that signs. */
  readonly key: KeyObject;
}

export interface ImportedRoot {
  /** What goes into the bundle. */
  readonly root: ParsedCertificate;
  /** What signs: the root, or a CA under it. */
  readonly signer: Signer;
}

/** Throws CERTIFICATE_INVALID saying what to do about it. */
export function importedRoot(
  { root: rootDer, intermediate, key }: RootMaterial,
  trustDomain: TrustDomain,
  nowMs: number,
): ImportedRoot {
  const root = parseCertificate(rootDer);
  requireCa(root, 'root', intermediate === undefined ? 1 : 2, nowMs);
  if (!isIssuedBy(root, root)) throw invalid('the root is not signed by itself; import its issuer');
  if (!sameValue(root.uris, []) && !sameValue(root.uris, [`spiffe://${trustDomain}`])) {
    throw invalid(`the root is named for "${root.uris.join(', ')}", not for "${trustDomain}"`);
  }
  requirePermits(root, 'root', trustDomain);
  if (intermediate === undefined) return { root, signer: signerOf(rootDer, key) };
  const ca = parseCertificate(intermediate);
  requireCa(ca, 'intermediate', 1, nowMs);
  if (!isIssuedBy(ca, root)) throw invalid('the intermediate is not signed by this root');
  if (!sameValue(ca.uris, [`spiffe://${trustDomain}`])) {
    throw invalid(`the intermediate must have the one URI name "spiffe://${trustDomain}"`);
  }
  requirePermits(ca, 'intermediate', trustDomain);
  if (!sameValue(ca.nameConstraints?.permittedUris, [trustDomain])) {
    throw invalid(
      `the intermediate must be constrained to URIs of "${trustDomain}" (nameConstraints, permitted;URI:${trustDomain}), or it could speak for every cluster under this root`,
    );
  }
  return { root, signer: signerOf(intermediate, key) };
}

export function holdingOf({ root, signer }: ImportedRoot): RootHolding {
  const { certificate, key } = signer;
  const intermediate = certificate.der.equals(root.der) ? undefined : certificate;
  return { certificate: root, key, intermediate };
}

/** `below`: CA certificates that will stand between it and a leaf. */
function requireCa(ca: ParsedCertificate, which: string, below: number, nowMs: number): void {
  const problem = caProblem(ca, below) ?? validityProblem(ca, `the ${which}`, nowMs);
  if (problem !== undefined) throw invalid(problem.message);
}

function requirePermits(ca: ParsedCertificate, which: string, trustDomain: TrustDomain): void {
  const { nameConstraints } = ca;
  if (nameConstraints === undefined) return;
  const { permittedUris, excludedUris, otherForms } = nameConstraints;
  const permits = permittedUris.length === 0 || permittedUris.includes(trustDomain);
  if (permits && excludedUris.length === 0 && !otherForms) return;
  throw invalid(`the ${which} has name constraints that do not leave "${trustDomain}" alone`);
}

function isIssuedBy(subject: ParsedCertificate, issuer: ParsedCertificate): boolean {
  return subject.x509.checkIssued(issuer.x509) && subject.x509.verify(issuer.publicKey);
}

function invalid(message: string): MeshError {
  return new MeshError('CERTIFICATE_INVALID', message);
}
