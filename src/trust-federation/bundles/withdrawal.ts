/**
 * When a connection that was let in must end before its time: its identity was revoked, or its trust
 * domain has no roots any more.
 *
 * Nothing else ends one. A root that is retired in a rollover leaves the connections made under it alone
 * (their peers have new certificates by then, and long streams must live), and a bundle that is missing is
 * silence, which changes nothing.
 */

import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { type Refusal, refused } from '../peers/chain-rules.ts';
import type { AcceptedPeer, BundleSource } from '../peers/verify.ts';

export function withdrawal(
  { id, trustDomain }: Pick<AcceptedPeer, 'id' | 'trustDomain'>,
  bundles: BundleSource,
): Refusal | undefined {
  const bundle: TrustBundle | undefined = bundles.get(trustDomain);
  if (bundle === undefined) return undefined;
  if (bundle.x509Authorities.length === 0) {
    const message = `trust domain "${trustDomain}" has no roots any more`;
    return { ...refused('bundle-empty', message), id };
  }
  if (!bundle.revoked.includes(id)) return undefined;
  return { ...refused('revoked', `"${id}" is revoked by its trust domain`), id };
}
