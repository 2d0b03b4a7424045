/**
 * How much of what a cluster is called for goes elsewhere because it is nearly full: before it falls over, and
 * never so much that the others fall over in turn.
 *
 * A stair, not a formula: what is measured is the outcome of the last step, seconds late, and whoever acts
 * on it at once swings. One step up needs an overloaded cluster and room elsewhere; steps down come as soon
 * as the cluster has room again, or the others have none. Between the thresholds nothing moves. The
 * numbers go together: a return of RETURN_STEP from the highest stair brings a cluster below
 * RETURN_BELOW_PERCENT to at most SPILL_ABOVE_PERCENT, so it does not spill again at once.
 */

import type { ClusterName } from './names.ts';
import type { Endpoint } from './service.ts';

/** Of capacity. */
const SPILL_ABOVE_PERCENT = 80;
const RETURN_BELOW_PERCENT = 50;
/** What the others may be at for one more step, and above which they are relieved. */
const ROOM_BELOW_PERCENT = 70;
const FULL_ABOVE_PERCENT = 90;
const SPILL_STEP = 10;
const RETURN_STEP = 20;
const SPILL_PERCENT_MAX = 60;
/** From one step to the next: longer than a load takes to be reported, told and acted on. */
export const SPILL_STEP_MS = 5_000;

export interface Spill {
  /** Of the cluster's calls, that go elsewhere. */
  readonly percent: number;
  readonly sinceMs: number;
}

export const NO_SPILL: Spill = { percent: 0, sinceMs: Number.NEGATIVE_INFINITY };

/** Percent of capacity; undefined where it is not known. */
export interface Utilisation {
  readonly own: number | undefined;
  readonly others: number | undefined;
}

export function nextSpill(spill: Spill, { own, others }: Utilisation, nowMs: number): Spill {
  if (nowMs - spill.sinceMs < SPILL_STEP_MS) return spill;
  const percent = spill.percent + stepFor(own, others);
  const bounded = Math.min(SPILL_PERCENT_MAX, Math.max(0, percent));
  return bounded === spill.percent ? spill : { percent: bounded, sinceMs: nowMs };
}

function stepFor(own: number | undefined, others: number | undefined): number {
  // A guess would move traffic for nothing.
  if (own === undefined || others === undefined) return -RETURN_STEP;
  if (others >= FULL_ABOVE_PERCENT) return -SPILL_STEP;
  if (own <= RETURN_BELOW_PERCENT) return -RETURN_STEP;
  return own >= SPILL_ABOVE_PERCENT && others < ROOM_BELOW_PERCENT ? SPILL_STEP : 0;
}

/**
 * Of each cluster that backs a service: its own load, and that of the others together. Endpoints without a
 * capacity or a load do not count, nor do clusters of which nothing new is known.
 */
export function utilisationOf(
  endpoints: readonly Endpoint[],
  isCurrent: (cluster: ClusterName) => boolean,
): Map<ClusterName, Utilisation> {
  const totals = new Map<ClusterName, { capacity: number; busy: number }>();
  for (const { cluster, capacity, load } of endpoints) {
    const total = totals.get(cluster) ?? { capacity: 0, busy: 0 };
    totals.set(cluster, total);
    if (capacity === undefined || load === undefined || !isCurrent(cluster)) continue;
    total.capacity += capacity;
    total.busy += (capacity * load) / 100;
  }
  const all = [...totals];
  return new Map(
    all.map(([cluster, total]) => {
      const others = all.filter(([other]) => other !== cluster).map(([, other]) => other);
      return [cluster, { own: percentOf([total]), others: percentOf(others) }];
    }),
  );
}

function percentOf(
  totals: readonly { readonly capacity: number; readonly busy: number }[],
): number | undefined {
  const capacity = totals.reduce((sum, total) => sum + total.capacity, 0);
  const busy = totals.reduce((sum, total) => sum + total.busy, 0);
  return capacity === 0 ? undefined : (busy * 100) / capacity;
}
