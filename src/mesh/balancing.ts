/**
 * Where the next try of a call goes, once some have failed before they reached anyone or, for a call
 * that may be repeated, without an answer. The first try has its turn (`weighted-turns.ts`,
 * `least-request.ts`); this one takes the best of what is left: in service before not, reachable before
 * not, near before far.
 */

import type { SocketAddress } from './address.ts';
import type { UpstreamEndpoint } from './upstream.ts';

export interface Target {
  readonly endpoint: UpstreamEndpoint;
  readonly address: SocketAddress;
}

export interface Candidate {
  readonly priority: number;
  readonly isReachable: boolean;
  readonly isEjected: boolean;
}

/**
 * The place of the best candidate that `isTried` does not name; -1 when there is none. Among equals the one
 * whose turn it is, or retries would all fall on the same neighbour.
 */
export function chooseOther(
  candidates: readonly Candidate[],
  isTried: (at: number) => boolean,
  turn: number,
): number {
  let best = -1;
  let bestRank = Number.POSITIVE_INFINITY;
  for (let i = 0; i < candidates.length; i++) {
    const at = (turn + i) % candidates.length;
    const candidate = candidates[at];
    if (candidate === undefined || isTried(at)) continue;
    const rank = rankOf(candidate);
    if (rank < bestRank) {
      best = at;
      bestRank = rank;
    }
  }
  return best;
}

/** Priorities are at most 128. */
function rankOf({ priority, isReachable, isEjected }: Candidate): number {
  if (!isReachable) return 2_000 + priority;
  return isEjected ? 1_000 + priority : priority;
}
