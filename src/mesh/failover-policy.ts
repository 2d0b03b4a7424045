/**
 * Where a service's calls go first, and where next: priorities and weights together.
 *
 * A policy is a list of groups in order; inside a group clusters, or regions, have weights. A weight is
 * divided by the endpoints that share it, so that a cluster of two endpoints and one of twenty get what was
 * written, whatever the number of gateways between. What no group names is not called at all: a policy
 * that is there for data residency must not leak. Without a policy the caller's locality decides: its
 * zone, its region, then everywhere.
 */

import { type Locality, localityPriority } from './locality.ts';
import type { ClusterName } from './names.ts';
import { DEFAULT_OVERPROVISIONING, DEFAULT_POLICY, type UpstreamPolicy } from './upstream.ts';

/** How the proxies of one cluster call a service. */
export interface ServicePolicy {
  readonly upstream: UpstreamPolicy;
  /** Undefined: by locality. */
  readonly failover: FailoverPolicy | undefined;
}

export interface FailoverPolicy {
  readonly groups: readonly FailoverGroup[];
  /** Percent, for groups that do not say below what share they spill. */
  readonly overprovisioning: number;
}

export interface FailoverGroup {
  readonly by: 'cluster' | 'region';
  /** Above 0. */
  readonly weights: ReadonlyMap<string, number>;
  /** Of healthy endpoints: below it, load moves on to the next group in proportion. */
  readonly spillBelowPercent: number | undefined;
}

export const DEFAULT_SERVICE_POLICY: ServicePolicy = {
  upstream: DEFAULT_POLICY,
  failover: undefined,
};

export interface Placeable {
  readonly cluster: ClusterName;
  readonly locality: Locality;
}

export type Placed<E> = E & { readonly priority: number; readonly weight: number };

export interface Placement<E> {
  /** In the order of the endpoints given, without those that are not to be called. */
  readonly endpoints: readonly Placed<E>[];
  /** Percent, of each priority that is in use. */
  readonly overprovisioning: readonly number[];
}

export function placeEndpoints<E extends Placeable>(
  endpoints: readonly E[],
  from: Locality,
  policy: FailoverPolicy | undefined,
): Placement<E> {
  const placed =
    policy === undefined
      ? endpoints.map(each => ({
          ...each,
          priority: localityPriority(from, each.locality),
          weight: 1,
        }))
      : placeInGroups(endpoints, policy.groups);
  return withoutGaps(placed, policy);
}

/** Weights are whole numbers on the wire: a share of 1 in 10,000 endpoints is still one. */
const WEIGHT_SCALE = 10_000;

function placeInGroups<E extends Placeable>(
  endpoints: readonly E[],
  groups: readonly FailoverGroup[],
): Placed<E>[] {
  const places = endpoints.flatMap(endpoint => {
    // The first group that names it: a region may be named beside one of its clusters.
    const priority = groups.findIndex(group => group.weights.has(nameIn(group, endpoint)));
    const group = groups[priority];
    if (group === undefined) return [];
    const name = nameIn(group, endpoint);
    return [{ endpoint, priority, name, share: group.weights.get(name) ?? 0 }];
  });
  const sharers = new Map<string, number>();
  for (const { priority, name } of places) {
    const key = `${priority} ${name}`;
    sharers.set(key, (sharers.get(key) ?? 0) + 1);
  }
  return places.map(({ endpoint, priority, name, share }) => {
    const each = share / (sharers.get(`${priority} ${name}`) ?? 1);
    return { ...endpoint, priority, weight: Math.max(1, Math.round(each * WEIGHT_SCALE)) };
  });
}

function nameIn({ by }: FailoverGroup, { cluster, locality }: Placeable): string {
  return by === 'cluster' ? cluster : locality.region;
}

/** Envoy refuses skipped priorities: the levels in use become 0, 1, … */
function withoutGaps<E>(
  placed: readonly Placed<E>[],
  policy: FailoverPolicy | undefined,
): Placement<E> {
  const levels = [...new Set(placed.map(({ priority }) => priority))].sort((a, b) => a - b);
  return {
    endpoints: placed.map(each => ({ ...each, priority: levels.indexOf(each.priority) })),
    overprovisioning: levels.map(level => overprovisioningOf(policy, level)),
  };
}

function overprovisioningOf(policy: FailoverPolicy | undefined, group: number): number {
  const spillBelow = policy?.groups[group]?.spillBelowPercent;
  if (spillBelow !== undefined) return Math.round(10_000 / spillBelow);
  return policy?.overprovisioning ?? DEFAULT_OVERPROVISIONING;
}
