/**
 * The one door for peers: every certificate chain that anyone presents is judged here.
 *
 * TLS has already proven that the peer holds the leaf's key and that some root of a flat list signed the
 * chain. That says nothing about identity: with two clusters' roots in the list either may sign for the
 * other (tried on Node 20). So the chain is walked again, up to a root of the leaf's own trust domain and
 * no other; then revocation and the authorizer decide. Never throws: what peers present is data.
 */

import type { Collection } from '../../mesh/collection.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { CHAIN_CERTIFICATES_MAX } from '../limits.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';
import type { Authorizer } from './authorizer.ts';
import {
  caProblem,
  foreignCaProblem,
  leafIdentity,
  leafProblem,
  nameConstraintsProblem,
  type Refusal,
  refused,
  subjectOf,
  validityProblem,
} from './chain-rules.ts';
import { isIssuedBy, keepVouched, readCertificate } from './vouched-certificates.ts';

/** The roots of each trust domain this process knows. */
export type BundleSource = Pick<Collection<TrustDomain, TrustBundle>, 'get'>;

export interface AcceptedPeer {
  readonly kind: 'accepted';
  readonly id: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** The certificate that signed the leaf. */
  readonly issuer: { readonly subject: string; readonly sha256: string };
  /** When the first certificate of the path expires. */
  readonly notAfterMs: number;
}

export type PeerVerdict = AcceptedPeer | Refusal;

/** `chainDer` is leaf first, each certificate issued by the next; a root at the end is ignored. */
export function verifyPeer(
  chainDer: readonly Uint8Array[],
  bundles: BundleSource,
  authorize: Authorizer,
  nowMs: number,
): PeerVerdict {
  const parsed = parseChain(chainDer);
  if (parsed.kind === 'refused') return parsed;
  const { leaf, chain } = parsed;
  const identity = leafIdentity(leaf);
  if (identity.kind === 'refused') return identity;
  const { id, trustDomain } = identity;
  const shape = leafProblem(leaf);
  if (shape !== undefined) return refusedAs(id, shape);
  const bundle = bundles.get(trustDomain);
  if (bundle === undefined) {
    return refusedAs(
      id,
      refused('trust-domain-unknown', `no bundle for trust domain "${trustDomain}"`),
    );
  }
  const found = pathToRoot(chain, bundle, nowMs);
  if (found.kind === 'refused') return refusedAs(id, found);
  const { path, issuer } = found;
  const problem =
    validityOf(path, nowMs) ?? nameConstraintsProblem(path) ?? foreignCaProblem(path, trustDomain);
  if (problem !== undefined) return refusedAs(id, problem);
  keepVouched(path);
  if (bundle.revoked.includes(id)) {
    return refusedAs(id, refused('revoked', `"${id}" is revoked by its trust domain`));
  }
  const objection = authorize(id);
  if (objection !== undefined) return refusedAs(id, refused('not-authorized', objection));
  return {
    kind: 'accepted',
    id,
    trustDomain,
    issuer: {
      subject: subjectOf(issuer),
      sha256: issuer.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
    notAfterMs: Math.min(...path.map(certificate => certificate.notAfterMs)),
  };
}

type ParsedChain =
  | {
      readonly kind: 'ok';
      readonly leaf: ParsedCertificate;
      readonly chain: readonly ParsedCertificate[];
    }
  | Refusal;

function parseChain(chainDer: readonly Uint8Array[]): ParsedChain {
  if (chainDer.length > CHAIN_CERTIFICATES_MAX) {
    return refused(
      'chain-too-long',
      `chain has ${chainDer.length} certificates, at most ${CHAIN_CERTIFICATES_MAX} are read`,
    );
  }
  let chain: readonly ParsedCertificate[];
  try {
    chain = chainDer.map(readCertificate);
  } catch (error) {
    return refused('certificate-malformed', messageOf(error));
  }
  const [leaf] = chain;
  return leaf === undefined
    ? refused('chain-empty', 'peer presented no certificate')
    : { kind: 'ok', leaf, chain };
}

type FoundPath =
  | {
      readonly kind: 'ok';
      /** Leaf first, root last. */
      readonly path: readonly ParsedCertificate[];
      readonly issuer: ParsedCertificate;
    }
  | Refusal;

/** The shortest prefix of the chain that a root of the bundle has signed, with that root. */
function pathToRoot(
  chain: readonly ParsedCertificate[],
  bundle: TrustBundle,
  nowMs: number,
): FoundPath {
  if (bundle.x509Authorities.length === 0) {
    return refused('bundle-empty', `trust domain "${bundle.trustDomain}" has no roots any more`);
  }
  const roots = readableRoots(bundle);
  for (const [depth, subject] of chain.entries()) {
    const signers = roots.filter(root => isIssuedBy(subject, root));
    const root = signers.find(each => isValidAt(each, nowMs)) ?? signers[0];
    if (root !== undefined) {
      const path = [...chain.slice(0, depth + 1), root];
      const problem = caProblem(root, depth);
      if (problem !== undefined) return problem;
      return { kind: 'ok', path, issuer: path[1] ?? root };
    }
    const next = chain[depth + 1];
    if (next === undefined) break;
    // Before its signature is looked at: a leaf posing as an issuer is named as that.
    const problem = caProblem(next, depth);
    if (problem !== undefined) return problem;
    if (!isIssuedBy(subject, next)) break;
  }
  return refused('untrusted', `no root of trust domain "${bundle.trustDomain}" signed this chain`);
}

function validityOf(path: readonly ParsedCertificate[], nowMs: number): Refusal | undefined {
  for (const [depth, certificate] of path.entries()) {
    const which = depth === 0 ? 'leaf certificate' : `issuer "${subjectOf(certificate)}"`;
    const problem = validityProblem(certificate, which, nowMs);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A root that cannot be read vouches for nobody; it does not take the others down. */
export function readableRoots(bundle: TrustBundle): readonly ParsedCertificate[] {
  let roots = rootsOfBundle.get(bundle);
  if (roots === undefined) {
    roots = bundle.x509Authorities.flatMap(der => {
      try {
        return [parseCertificate(der)];
      } catch {
        return [];
      }
    });
    rootsOfBundle.set(bundle, roots);
  }
  return roots;
}

/** Parsing a root costs more than checking its signature, and bundles are immutable values. */
const rootsOfBundle = new WeakMap<TrustBundle, readonly ParsedCertificate[]>();

function isValidAt(certificate: ParsedCertificate, nowMs: number): boolean {
  return nowMs >= certificate.notBeforeMs && nowMs <= certificate.notAfterMs;
}

function refusedAs(id: SpiffeId, refusal: Refusal): Refusal {
  return { ...refusal, id };
}
