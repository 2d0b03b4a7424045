/**
 * Whether another cluster lives, from two signals that fail for different reasons: R, its agent's lease
 * in the registry, and D, what this cluster's own proxies experience on the way there.
 *
 * One table (docs/liveness.md). A lease alone never takes anything out: stalling an etcd quorum for 15 s
 * ends every lease of a healthy mesh. Paths alone never do either: they may be broken for this observer
 * only, and it already avoids them. Both together for DEAD_AFTER_MS do; the way back takes RETURN_MS
 * of unbroken evidence, so a cluster that comes and goes changes at most once in that time, and then
 * RAMP_MS from a trickle to its full share.
 */

import type { Freshness, StaleReason } from './cluster.ts';
import { isAnswering, type PathEvidence, RETURN_MS } from './path.ts';

/** Both signals lost for this long: a gateway that restarts while a lease lapses is no dead region. */
export const DEAD_AFTER_MS = 5_000;
/** From the return of a cluster to its whole share. */
export const RAMP_MS = 20_000;
const RAMP_STEPS = 5;

/** R. `unknown`: this observer has just started and not yet heard from a registry. */
export type LeaseSignal =
  | { readonly kind: 'held' }
  | { readonly kind: 'lost'; readonly reason: StaleReason }
  | { readonly kind: 'unknown' };

/** D. `none`: nobody here has tried lately, which says nothing. */
export type PathSignal = 'answering' | 'lost' | 'none';

export interface Signals {
  readonly lease: LeaseSignal;
  readonly paths: PathSignal;
}

export type Verdict =
  | { readonly kind: 'serving'; readonly sinceMs: number }
  /** Served from the last known good. */
  | { readonly kind: 'stale'; readonly sinceMs: number; readonly reason: StaleReason }
  /** Its agent is heard of, its gateways are not reached from here: each proxy avoids what it cannot reach. */
  | { readonly kind: 'unreachable'; readonly sinceMs: number }
  /** Both lost, and not long enough to act: served still. */
  | { readonly kind: 'failing'; readonly sinceMs: number }
  /** Taken out; what it exported stays as a tombstone. */
  | { readonly kind: 'dead'; readonly sinceMs: number }
  /** Out still, and alive again since `aliveMs`. */
  | { readonly kind: 'recovering'; readonly sinceMs: number; readonly aliveMs: number };

export interface Liveness {
  readonly verdict: Verdict;
  /** When it last came back from the dead; undefined: it never was, or that is over. */
  readonly returnedMs: number | undefined;
}

export function nextLiveness(
  previous: Liveness | undefined,
  signals: Signals,
  nowMs: number,
): Liveness {
  const before = previous?.verdict;
  if (before?.kind === 'dead' || before?.kind === 'recovering') {
    if (!isAliveAgain(signals)) {
      return { verdict: { kind: 'dead', sinceMs: before.sinceMs }, returnedMs: undefined };
    }
    const aliveMs = before.kind === 'recovering' ? before.aliveMs : nowMs;
    return nowMs - aliveMs >= RETURN_MS
      ? { verdict: verdictOf(signals, undefined, nowMs), returnedMs: nowMs }
      : {
          verdict: { kind: 'recovering', sinceMs: before.sinceMs, aliveMs },
          returnedMs: undefined,
        };
  }
  const verdict = verdictOf(signals, before, nowMs);
  if (verdict.kind === 'failing' && nowMs - verdict.sinceMs >= DEAD_AFTER_MS) {
    return { verdict: { kind: 'dead', sinceMs: nowMs }, returnedMs: undefined };
  }
  const returnedMs = previous?.returnedMs;
  const isRamping = returnedMs !== undefined && nowMs - returnedMs < RAMP_MS;
  return { verdict, returnedMs: isRamping ? returnedMs : undefined };
}

/** Whether its endpoints are to be called while other clusters have some. */
export function isServed({ verdict }: Liveness): boolean {
  return verdict.kind !== 'dead' && verdict.kind !== 'recovering';
}

/** Percent of its due, in steps, so that callers are told of a few changes and not of many. */
export function rampPercent({ returnedMs }: Liveness, nowMs: number): number {
  if (returnedMs === undefined || nowMs - returnedMs >= RAMP_MS) return 100;
  const step = Math.floor(((nowMs - returnedMs) / RAMP_MS) * RAMP_STEPS) + 1;
  return Math.round((step * 100) / (RAMP_STEPS + 1));
}

/** R as the registry's view of the cluster says it. */
export function leaseSignal(freshness: Freshness): LeaseSignal {
  if (freshness.kind === 'live') return { kind: 'held' };
  const { reason } = freshness;
  return reason === 'loaded-from-disk' ? { kind: 'unknown' } : { kind: 'lost', reason };
}

/** D from everything this cluster's proxies say of the ways to one other. */
export function pathSignal(
  paths: readonly PathEvidence[],
  nowMs: number,
  heardWithinMs: number,
): PathSignal {
  const heard = ({ lastAnswerMs }: PathEvidence): boolean =>
    lastAnswerMs !== undefined && nowMs - lastAnswerMs <= heardWithinMs;
  if (paths.some(path => isAnswering(path.state) || heard(path))) return 'answering';
  return paths.some(({ state }) => state.kind === 'down') ? 'lost' : 'none';
}

/** Somebody reached it; or nobody tried and its agent is back. */
function isAliveAgain({ lease, paths }: Signals): boolean {
  return paths === 'answering' || (paths === 'none' && lease.kind === 'held');
}

/** Of a cluster that is in. Something that stays as it was keeps its date. */
function verdictOf(signals: Signals, before: Verdict | undefined, nowMs: number): Verdict {
  const now = standing(signals, nowMs);
  if (before?.kind !== now.kind) return now;
  if (before.kind === 'stale' && now.kind === 'stale' && before.reason !== now.reason) {
    return { ...now, sinceMs: before.sinceMs };
  }
  return before;
}

function standing({ lease, paths }: Signals, nowMs: number): Verdict {
  const sinceMs = nowMs;
  if (lease.kind === 'held') {
    return paths === 'lost' ? { kind: 'unreachable', sinceMs } : { kind: 'serving', sinceMs };
  }
  if (lease.kind === 'lost' && paths === 'lost') return { kind: 'failing', sinceMs };
  const reason = lease.kind === 'lost' ? lease.reason : 'loaded-from-disk';
  return { kind: 'stale', sinceMs, reason };
}
