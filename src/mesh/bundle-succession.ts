/**
 * Which version of a cluster's bundle may follow the one in hand, whoever delivered it.
 *
 * The first is vouched for by the cluster's membership of the ClusterSet; each next one by a root of the
 * version before it, so that neither a registry nor a stolen membership can replace the roots of a cluster
 * that is known already. A reader that missed versions walks the predecessors that come along. An empty
 * bundle has no root that could vouch for a successor: there the membership counts again.
 */

import { sameValue } from './collection.ts';
import type { BundleOffer, SignedBundle } from './signed-bundle.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** The part that needs cryptography. */
export interface BundleProofs {
  /** Why the member's signature under a bundle does not count; undefined when it does. */
  readonly memberProblem: (signed: SignedBundle) => string | undefined;
  readonly signedByRootOf: (signed: SignedBundle, version: TrustBundle) => boolean;
}

export interface HeldBundle {
  readonly signed: SignedBundle;
  /** Who vouches for the next version: 'membership' after the cluster was revoked and restored. */
  readonly successor: 'roots' | 'membership';
}

export type Succession =
  | { readonly kind: 'accepted'; readonly signed: SignedBundle }
  | {
      readonly kind: 'refused';
      readonly reason:
        | 'bundle-older'
        | 'bundle-conflict'
        | 'bundle-not-vouched-for'
        | 'bundle-not-succeeding';
      readonly message: string;
    };

export function succeed(
  held: HeldBundle | undefined,
  { current, predecessors }: BundleOffer,
  proofs: BundleProofs,
): Succession {
  const { bundle } = current;
  if (held === undefined) return vouchedFor(current, proofs);
  const known = held.signed.bundle;
  const { trustDomain, sequence } = known;
  const claim = `bundle of "${trustDomain}" with sequence ${bundle.sequence}`;
  if (bundle.sequence < sequence) {
    return refused('bundle-older', `${claim} does not replace the one with ${sequence}`);
  }
  if (bundle.sequence === sequence) {
    // SPIFFE Trust Domain and Bundle §4.1.1: equal sequences mean equal bundles.
    return sameValue(bundle, known)
      ? { kind: 'accepted', signed: held.signed }
      : refused('bundle-conflict', `${claim} says something else than the one known`);
  }
  if (held.successor === 'membership') return vouchedFor(current, proofs);
  const from = latestReachable(known, current, predecessors, proofs);
  if (from.x509Authorities.length === 0) return vouchedFor(current, proofs);
  if (proofs.signedByRootOf(current, from)) return { kind: 'accepted', signed: current };
  return refused(
    'bundle-not-succeeding',
    `${claim} is not signed by a root of the one with ${from.sequence}; if the cluster lost its roots, revoke it and restore it`,
  );
}

function vouchedFor(signed: SignedBundle, proofs: BundleProofs): Succession {
  const problem = proofs.memberProblem(signed);
  if (problem === undefined) return { kind: 'accepted', signed };
  return refused(
    'bundle-not-vouched-for',
    `bundle of "${signed.bundle.trustDomain}" is not vouched for by its membership: ${problem}`,
  );
}

/** From the version in hand over predecessors, each signed by a root of the one before. */
function latestReachable(
  held: TrustBundle,
  { bundle }: SignedBundle,
  predecessors: readonly SignedBundle[],
  proofs: BundleProofs,
): TrustBundle {
  let version = held;
  const ascending = [...predecessors].sort((a, b) => a.bundle.sequence - b.bundle.sequence);
  for (const each of ascending) {
    const between =
      each.bundle.sequence > version.sequence && each.bundle.sequence < bundle.sequence;
    if (between && proofs.signedByRootOf(each, version)) version = each.bundle;
  }
  return version;
}

function refused(
  reason: (Succession & { kind: 'refused' })['reason'],
  message: string,
): Succession {
  return { kind: 'refused', reason, message };
}
