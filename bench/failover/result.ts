/** What a case says, and how it counts the requests of its load. */

import type { Outcome } from './load.ts';

export interface CaseResult {
  readonly fault: string;
  readonly detectMs: number | null;
  readonly movedMs: number | null;
  readonly sent: number;
  readonly failed: number;
  readonly failedIdempotent: number;
  readonly returnMs: number | null;
  /** Failures of each kind, and whatever else a case has to say. */
  readonly notes: Readonly<Record<string, number>>;
  readonly held: boolean;
}

/** A request that takes longer has noticed. */
const SLOW_MS = 500;

export function count(outcomes: readonly Outcome[]) {
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  const failedIdempotent = failed.filter(({ isIdempotent }) => isIdempotent).length;
  return { sent: outcomes.length, failed: failed.length, failedIdempotent };
}

export function kinds(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { failure } of outcomes) {
    if (failure !== undefined) counts[failure] = (counts[failure] ?? 0) + 1;
  }
  return counts;
}

/** From a fault to the sending of the last request that noticed, by failing or by taking long. */
export function movedAfterMs(
  outcomes: readonly Outcome[],
  faultMs: number,
  healMs: number,
): number {
  const noticing = outcomes.filter(
    ({ sentMs, doneMs, failure }) =>
      doneMs > faultMs && sentMs < healMs && (failure !== undefined || doneMs - sentMs > SLOW_MS),
  );
  return Math.round(Math.max(0, ...noticing.map(({ sentMs }) => sentMs - faultMs)));
}
