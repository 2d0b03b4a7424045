/**
 * Whether the next step of a rollover is proven, and if not, who lacks what since when.
 *
 * Evidence is what proxies said they applied and serve, never what was sent to them. A cluster that is
 * out of touch proves nothing new, but what it proved stays proven: bundles do not go back.
 */

import type { Freshness } from './cluster.ts';
import type { ClusterName } from './names.ts';
import type { Rollover } from './rollover.ts';
import type { TrustDomain } from './spiffe-id.ts';
import type { Laggard, TrustAck } from './trust-acks.ts';

export interface ClusterEvidence {
  readonly cluster: ClusterName;
  readonly freshness: Freshness;
  /** Undefined: the cluster says nothing about the rolling trust domain. */
  readonly ack: TrustAck | undefined;
}

export interface RolloverEvidence {
  readonly trustDomain: TrustDomain;
  /** Of the bundle that has to be everywhere. */
  readonly sequence: number;
  /** Our own included. */
  readonly clusters: readonly ClusterEvidence[];
  /** Holders of certificates alive of the root that goes. */
  readonly undrained: readonly Laggard[];
}

export interface GateProgress {
  readonly cluster: ClusterName;
  readonly have: number;
  readonly of: number;
}

export interface GateLaggard extends Laggard {
  readonly cluster: ClusterName;
}

export interface Gate {
  /** What has to be true, in words. */
  readonly condition: string;
  readonly progress: readonly GateProgress[];
  /** Empty: proven. */
  readonly lacking: readonly GateLaggard[];
}

/** Of the step after `rollover.step`; after the last one, of everyone having dropped the old root. */
export function gateOf(rollover: Rollover, evidence: RolloverEvidence, own: ClusterName): Gate {
  switch (rollover.step) {
    case 'announced':
    case 'trusted':
    case 'active':
    case 'revoked':
      return appliedEverywhere(rollover, evidence);
    case 'tainted':
    case 'drained':
      return drained(evidence, own);
  }
}

/** One line for a refusal; undefined when the gate is proven. */
export function unprovenOf({ lacking }: Gate): string | undefined {
  const [first, ...others] = lacking;
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return `${first.proxy} in ${first.cluster} ${first.lacks}${more}`;
}

function appliedEverywhere(rollover: Rollover, evidence: RolloverEvidence): Gate {
  const { trustDomain, sequence, clusters } = evidence;
  return {
    condition: `every proxy of every cluster has applied bundle ${sequence} of "${trustDomain}"`,
    progress: clusters.map(({ cluster, ack }) => ({
      cluster,
      have: ack === undefined ? 0 : ack.offered < sequence ? 0 : ack.current,
      of: ack?.proxies ?? 0,
    })),
    lacking: clusters.flatMap(each => lackingIn(each, rollover, evidence)),
  };
}

function lackingIn(
  { cluster, freshness, ack }: ClusterEvidence,
  rollover: Rollover,
  { sequence }: RolloverEvidence,
): GateLaggard[] {
  if (ack !== undefined && ack.sequence >= sequence) return [];
  const stale = freshness.kind === 'stale';
  const sinceMs = stale ? freshness.sinceMs : rollover.sinceMs;
  const silence = stale ? ', and is out of touch' : '';
  const agent = { cluster, proxy: 'cluster-agent', sinceMs };
  if (ack === undefined) return [{ ...agent, lacks: `reports no bundle of ours${silence}` }];
  if (ack.offered < sequence) {
    return [{ ...agent, lacks: `has bundle ${ack.offered}, not ${sequence}${silence}` }];
  }
  const named = ack.laggards.map(laggard => ({ ...laggard, cluster }));
  // More than the record names, or a record written before its laggards were.
  return named.length > 0
    ? named
    : [{ ...agent, lacks: `has proxies with bundle ${ack.sequence}` }];
}

function drained({ undrained }: RolloverEvidence, own: ClusterName): Gate {
  return {
    condition: 'no certificate of the old root is alive',
    progress: [],
    lacking: undrained.map(laggard => ({ ...laggard, cluster: own })),
  };
}
