/**
 * How the calls of an upstream are spread over its endpoints: Envoy's priority load, then weights.
 *
 * A level carries what is meant for it while its healthy share times the overprovisioning factor is at
 * least one; below that, in proportion, and the rest goes to the next. What slow start and availability
 * hold back is passed on too, after that factor, so that it moves from the first percent.
 *
 * Panic: when all levels together cannot carry everything, a level below the threshold uses again what
 * was ejected: that judgement then says more about this observer than about them. What cannot be
 * reached stays out as long as anything can be: trying it relieves nobody, since the call comes back. When
 * nothing is left, everything is used as if nothing were known. There are never no endpoints.
 */

import { DEFAULT_OVERPROVISIONING } from './upstream.ts';

export interface Standing {
  readonly priority: number;
  /** Relative inside the priority; above 0. */
  readonly weight: number;
  /** 0 to 1: what it is to be given of its due. */
  readonly availability: number;
  readonly isReachable: boolean;
  /** For bad answers. */
  readonly isEjected: boolean;
}

export interface SpreadPolicy {
  readonly panicBelowPercent: number;
  /** Percent, by priority. */
  readonly overprovisioning: readonly number[];
}

export interface Spread {
  readonly levels: readonly LevelShare[];
  /** Of each endpoint, in the order given; they sum to 1 unless there are none. */
  readonly shares: readonly number[];
}

export interface LevelShare {
  readonly priority: number;
  readonly endpoints: number;
  /** In service: reachable and not ejected. */
  readonly healthy: number;
  /** Of all calls; the levels sum to 1. */
  readonly share: number;
  readonly isPanicking: boolean;
}

interface Level {
  readonly priority: number;
  /** Places in the list of endpoints. */
  readonly members: readonly number[];
  readonly healthy: readonly number[];
  /** Healthy share times overprovisioning, at most 1. */
  readonly health: number;
  /** `health`, less what is held back. */
  readonly capacity: number;
}

export function spreadOver(endpoints: readonly Standing[], policy: SpreadPolicy): Spread {
  const levels = levelsOf(endpoints, policy);
  const capacity = sum(levels, level => level.capacity);
  if (endpoints.length > 0 && capacity === 0) {
    const nothingKnown = endpoints.map(asIfNothingWereKnown);
    const { levels: shown, shares } = spreadOver(nothingKnown, policy);
    const healthyIn = new Map(levels.map(({ priority, healthy }) => [priority, healthy.length]));
    return {
      shares,
      levels: shown.map(level => ({
        ...level,
        healthy: healthyIn.get(level.priority) ?? 0,
        isPanicking: true,
      })),
    };
  }
  const isStrained = sum(levels, level => level.health) < 1;
  const shares = endpoints.map(() => 0);
  let left = 1;
  const shown = levels.map((level): LevelShare => {
    const { priority, members, healthy } = level;
    const share = Math.min(left, level.capacity / Math.min(1, capacity));
    left -= share;
    const isPanicking =
      isStrained && healthy.length * 100 < policy.panicBelowPercent * members.length;
    const candidates = isPanicking
      ? members.filter(at => endpoints[at]?.isReachable === true)
      : healthy;
    const dueOf = (at: number): number => dueTo(endpoints[at]);
    const due = sum(candidates, dueOf);
    for (const at of candidates) shares[at] = due === 0 ? 0 : (share * dueOf(at)) / due;
    return { priority, endpoints: members.length, healthy: healthy.length, share, isPanicking };
  });
  return { levels: shown, shares };
}

function levelsOf(endpoints: readonly Standing[], policy: SpreadPolicy): Level[] {
  const priorities = [...new Set(endpoints.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.map(priority => {
    const members = [...endpoints.keys()].filter(at => endpoints[at]?.priority === priority);
    const healthy = members.filter(at => isInService(endpoints[at]));
    const factor = (policy.overprovisioning[priority] ?? DEFAULT_OVERPROVISIONING) / 100;
    const health = Math.min(1, (healthy.length / members.length) * factor);
    const weight = sum(healthy, at => endpoints[at]?.weight ?? 0);
    const due = sum(healthy, at => dueTo(endpoints[at]));
    return {
      priority,
      members,
      healthy,
      health,
      capacity: weight === 0 ? 0 : health * (due / weight),
    };
  });
}

function isInService(endpoint: Standing | undefined): boolean {
  return endpoint !== undefined && endpoint.isReachable && !endpoint.isEjected;
}

function dueTo(endpoint: Standing | undefined): number {
  return endpoint === undefined ? 0 : endpoint.weight * endpoint.availability;
}

function asIfNothingWereKnown({ priority, weight }: Standing): Standing {
  return { priority, weight, availability: 1, isReachable: true, isEjected: false };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
