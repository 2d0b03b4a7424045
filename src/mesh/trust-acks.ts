/**
 * What a cluster's proxies verify with, summed up: the record by which each agent tells the others how
 * far a bundle has come, and the pure rule that makes it from what proxies report.
 *
 * A proxy counts from when it was given a certificate until that expires, heard of or not: one that is
 * silent may still be carrying requests with an old bundle.
 */

import type { WorkloadName } from './names.ts';
import type { SpiffeId, TrustDomain } from './spiffe-id.ts';

/** One trust domain's bundle in one cluster. */
export interface TrustAck {
  readonly trustDomain: TrustDomain;
  /** The newest that the cluster's agent holds and hands to its proxies. */
  readonly offered: number;
  /** What all of its proxies have applied, at least; 0 while one is known to have nothing of it. */
  readonly sequence: number;
  readonly proxies: number;
  /** How many of them have applied `offered`. */
  readonly current: number;
  /** At most LAGGARDS_MAX of the others. */
  readonly laggards: readonly Laggard[];
}

export interface Laggard {
  /** Workload name, or the SPIFFE ID of a proxy that never reported. */
  readonly proxy: string;
  readonly lacks: string;
  readonly sinceMs: number;
}

export const LAGGARDS_MAX = 20;
/** A SPIFFE ID may be longer; its beginning says enough. */
const PROXY_CHARS_MAX = 250;

/** A proxy that may be verifying peers right now. */
export interface ProxyTrust {
  readonly proxy: WorkloadName | SpiffeId;
  /** Undefined: nothing was heard of it. */
  readonly bundles: Readonly<Record<TrustDomain, number>> | undefined;
  /** When it was given its certificate, if nothing was heard since. */
  readonly lastHeardMs: number;
}

export interface OfferedBundle {
  readonly trustDomain: TrustDomain;
  readonly sequence: number;
  readonly sinceMs: number;
}

export function trustAcks(
  offered: Iterable<OfferedBundle>,
  proxies: readonly ProxyTrust[],
): TrustAck[] {
  return [...offered].map(({ trustDomain, sequence, sinceMs }) => {
    const applied = proxies.map(({ bundles }) => bundles?.[trustDomain] ?? 0);
    const behind = proxies.filter((_, at) => (applied[at] ?? 0) < sequence);
    return {
      trustDomain,
      offered: sequence,
      sequence: Math.min(sequence, ...applied),
      proxies: proxies.length,
      current: proxies.length - behind.length,
      laggards: behind.slice(0, LAGGARDS_MAX).map(({ proxy, bundles, lastHeardMs }) => ({
        proxy: proxy.slice(0, PROXY_CHARS_MAX),
        lacks: lackOf(bundles, trustDomain, sequence),
        sinceMs: bundles === undefined ? lastHeardMs : sinceMs,
      })),
    };
  });
}

function lackOf(
  bundles: ProxyTrust['bundles'],
  trustDomain: TrustDomain,
  sequence: number,
): string {
  if (bundles === undefined) return 'has not reported since it was given a certificate';
  return `has bundle ${bundles[trustDomain] ?? 'none'}, not ${sequence}`;
}
