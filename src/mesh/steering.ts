/**
 * What operators' intents make of an upstream: a drained cluster is given less and less, and a service
 * that is failed over goes to one cluster first until its time is over.
 *
 * Pure, and the same in every cluster: all agents read the same intents, so a cluster that cannot be
 * reached is drained by its callers. A drain takes from new calls only, and never the last endpoint: what
 * is left when everything is drained is used as if nothing were (`spread.ts`).
 */

import type { Intent } from './intent.ts';
import { type ClusterName, type ServiceKey, serviceKey } from './names.ts';
import { DEFAULT_OVERPROVISIONING, type Upstream, type UpstreamEndpoint } from './upstream.ts';

export interface Steering {
  /** Percent of what it would otherwise be given, of clusters that are being drained. */
  readonly availability: ReadonlyMap<ClusterName, number>;
  /** Where a service's calls go first. */
  readonly failovers: ReadonlyMap<ServiceKey, ClusterName>;
  /** When the same intents mean something else. */
  readonly nextChangeMs: number | undefined;
}

/** Every step is sent to every proxy, so a drain is a stair of this many. */
const DRAIN_STEPS = 20;

export function steeringAt(intents: Iterable<Intent>, nowMs: number): Steering {
  const availability = new Map<ClusterName, number>();
  const failovers = new Map<ServiceKey, ClusterName>();
  const changes: number[] = [];
  for (const intent of intents) {
    if (intent.kind === 'drain') {
      const { cluster, startMs, overMs, untilMs = Infinity } = intent;
      if (nowMs >= untilMs) continue;
      const step = stepAt(nowMs - startMs, overMs);
      availability.set(cluster, 100 - (step * 100) / DRAIN_STEPS);
      if (step < DRAIN_STEPS) changes.push(startMs + (overMs * (step + 1)) / DRAIN_STEPS);
      if (untilMs < Infinity) changes.push(untilMs);
    } else if (intent.kind === 'failover' && nowMs < intent.untilMs) {
      failovers.set(serviceKey(intent.namespace, intent.name), intent.to);
      changes.push(intent.untilMs);
    }
  }
  const nextChangeMs = changes.length === 0 ? undefined : Math.min(...changes);
  return { availability, failovers, nextChangeMs };
}

/** `service` is whose upstream it is. */
export function steer(upstream: Upstream, service: ServiceKey, steering: Steering): Upstream {
  const drained = drain(upstream.endpoints, steering.availability);
  const to = steering.failovers.get(service);
  if (to === undefined || !drained.some(({ cluster }) => cluster === to)) {
    return { ...upstream, endpoints: drained };
  }
  const first = drained.filter(({ cluster }) => cluster === to);
  const others = drained.filter(({ cluster }) => cluster !== to);
  const levels = [...new Set(others.map(({ priority }) => priority))];
  const factorOf = (level: number): number =>
    upstream.overprovisioning[level] ?? DEFAULT_OVERPROVISIONING;
  return {
    ...upstream,
    overprovisioning: [DEFAULT_OVERPROVISIONING, ...levels.map(factorOf)],
    endpoints: [
      ...first.map(endpoint => ({ ...endpoint, priority: 0 })),
      // Envoy refuses skipped priorities: where a level was only of the chosen cluster, it is gone.
      ...others.map(endpoint => ({ ...endpoint, priority: levels.indexOf(endpoint.priority) + 1 })),
    ],
  };
}

function stepAt(elapsedMs: number, overMs: number): number {
  if (elapsedMs >= overMs) return DRAIN_STEPS;
  return Math.max(0, Math.floor((elapsedMs * DRAIN_STEPS) / overMs));
}

function drain(
  endpoints: readonly UpstreamEndpoint[],
  availability: Steering['availability'],
): readonly UpstreamEndpoint[] {
  return endpoints.map(endpoint => {
    const percent = availability.get(endpoint.cluster) ?? 100;
    if (percent === 100) return endpoint;
    return { ...endpoint, availability: Math.round((endpoint.availability * percent) / 100) };
  });
}
