/** Identity and trust in words: what the admin servers of the proxies show under /debug. */

import { createHash } from 'node:crypto';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Svid } from '../identity/svid.ts';
import { anyIdentity } from './authorizer.ts';
import { type AcceptedPeer, type BundleSource, verifyPeer } from './verify.ts';

export interface DescribedIdentity {
  readonly spiffeId: string;
  /** Absent when the own bundle does not (or no longer) vouch for the SVID; `problem` says why. */
  readonly issuer?: AcceptedPeer['issuer'];
  readonly problem?: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export function describeIdentity(
  svid: Svid,
  bundles: BundleSource,
  nowMs: number,
): DescribedIdentity {
  const verdict = verifyPeer(svid.chain, bundles, anyIdentity, nowMs);
  return {
    spiffeId: svid.id,
    ...(verdict.kind === 'accepted' ? { issuer: verdict.issuer } : { problem: verdict.message }),
    notBeforeMs: svid.notBeforeMs,
    notAfterMs: svid.notAfterMs,
  };
}

export interface DescribedBundle {
  readonly trustDomain: string;
  readonly sequence: number;
  /** SHA-256 of each root certificate, hex. */
  readonly roots: readonly string[];
  readonly revoked: readonly string[];
}

export function describeBundles(bundles: Iterable<TrustBundle>): readonly DescribedBundle[] {
  return [...bundles].map(bundle => ({
    trustDomain: bundle.trustDomain,
    sequence: bundle.sequence,
    roots: bundle.x509Authorities.map(root => createHash('sha256').update(root).digest('hex')),
    revoked: bundle.revoked,
  }));
}
