/**
 * What one observer knows of one way into another cluster: a gateway of it, at one address.
 *
 * One table (docs/liveness.md), fed by probes that carry data through a whole mTLS handshake and by what
 * calls experience. The first failure takes the path out; unbroken answers for RETURN_MS bring it back,
 * so one that comes and goes is out for good until it stays. A path that answers but is not back yet is
 * "held": it is used when there is no better one, so damping never makes anything unreachable. Silence of
 * the observer itself is no event here and changes nothing.
 */

import type { SocketAddress } from './address.ts';
import type { ClusterName } from './names.ts';

/** Out to in again, at least: with it one path changes back and forth at most once in this time. */
export const RETURN_MS = 30_000;

export type PathState =
  /** Not tried yet: used like one that is up. */
  | { readonly kind: 'unknown'; readonly sinceMs: number }
  | { readonly kind: 'up'; readonly sinceMs: number }
  /** The gateway says that it is about to stop: no new sessions while there is another. */
  | { readonly kind: 'draining'; readonly sinceMs: number }
  | { readonly kind: 'down'; readonly sinceMs: number; readonly reason: PathFailure }
  /** It answers again, since `answeringMs`; out since `sinceMs`. */
  | { readonly kind: 'held'; readonly sinceMs: number; readonly answeringMs: number };

export const PATH_FAILURES = [
  /** Nobody listens there. */
  'refused',
  /** Accepted and broken off, or broken off while open. */
  'reset',
  /** The network says that there is no way. */
  'unreachable',
  /** Nothing comes back, not even an answer to connect. */
  'silent',
  /** It accepts, and then TLS or the echo stalls. */
  'hung',
  /** Whoever answers is not a gateway of that cluster. */
  'wrong-peer',
  /** It answered with something else than it was sent. */
  'wrong-answer',
] as const;
export type PathFailure = (typeof PATH_FAILURES)[number];

export type PathEvent =
  | { readonly kind: 'answered'; readonly isDraining: boolean }
  | { readonly kind: 'failed'; readonly reason: PathFailure };

/** A path with its evidence, as it is shown and reported. */
export interface PathEvidence {
  readonly cluster: ClusterName;
  readonly address: SocketAddress;
  readonly state: PathState;
  /** When something last came back, by a probe or a call; undefined: never. */
  readonly lastAnswerMs: number | undefined;
  readonly rttMs: number | undefined;
}

export function nextPath(state: PathState, event: PathEvent, nowMs: number): PathState {
  if (event.kind === 'failed') {
    if (state.kind === 'down') {
      return state.reason === event.reason ? state : { ...state, reason: event.reason };
    }
    const sinceMs = state.kind === 'held' ? state.sinceMs : nowMs;
    return { kind: 'down', sinceMs, reason: event.reason };
  }
  switch (state.kind) {
    case 'unknown':
    case 'up':
    case 'draining': {
      const kind = event.isDraining ? 'draining' : 'up';
      return state.kind === kind ? state : { kind, sinceMs: nowMs };
    }
    case 'down':
      return { kind: 'held', sinceMs: state.sinceMs, answeringMs: nowMs };
    case 'held':
      return nowMs - state.answeringMs >= RETURN_MS ? { kind: 'up', sinceMs: nowMs } : state;
  }
}

/** Whether it is among the ways to use while there is a choice. */
export function isInService({ kind }: PathState): boolean {
  return kind === 'unknown' || kind === 'up';
}

/** Whether its gateway takes no new connections: it says so, or nobody listens there any more. */
export function isClosed(state: PathState): boolean {
  return state.kind === 'draining' || (state.kind === 'down' && state.reason === 'refused');
}

/** Whether something comes back on it. */
export function isAnswering({ kind }: PathState): boolean {
  return kind === 'up' || kind === 'draining' || kind === 'held';
}
