/**
 * How busy an endpoint is, as its cluster tells the others: in-flight requests in percent of its capacity,
 * coarse and seldom, so that the registry carries a change of load and not its noise.
 */

/** What is told is a multiple of this, and changes by at least as much. */
const LOAD_STEP = 10;
/** On the wire a byte. */
export const LOAD_MAX = 250;
/** Between two changes of what is told of one endpoint. */
export const LOAD_CHANGE_MS_MIN = 3_000;

export interface ToldLoad {
  readonly load: number;
  readonly sinceMs: number;
}

/** `inFlight`: on average since the last look. */
export function nextLoad(
  told: ToldLoad | undefined,
  { inFlight, capacity }: { readonly inFlight: number; readonly capacity: number },
  nowMs: number,
): ToldLoad {
  const percent = Math.min(LOAD_MAX, (inFlight * 100) / capacity);
  const load = Math.round(percent / LOAD_STEP) * LOAD_STEP;
  if (told === undefined) return { load, sinceMs: nowMs };
  // Half a step further than rounding asks for, or a load on the edge would change with every look.
  const hasMoved = Math.abs(percent - told.load) >= LOAD_STEP;
  return hasMoved && nowMs - told.sinceMs >= LOAD_CHANGE_MS_MIN ? { load, sinceMs: nowMs } : told;
}
