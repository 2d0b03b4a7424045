/**
 * From an upstream to an open byte stream at one of its applications.
 *
 * Another endpoint is tried only while nothing of the call has reached an application: a failed connect,
 * handshake or CONNECT, or a stream that the far sidecar gave back untouched. Whether a call that did reach
 * one may be sent again is `repeats.ts`'s to say.
 */

import { formatAddress } from '../../mesh/address.ts';
import { isMeshError, messageOf } from '../../mesh/errors.ts';
import { ATTEMPTS_MAX } from '../limits.ts';
import type { SessionPool } from '../tunnel/pool.ts';
import type { TunnelStream } from '../tunnel/session.ts';
import type { Way } from './members.ts';
import type { Fault, Rotation } from './rotation.ts';

export type CallOutcome = ReachedApplication | CallFailure;

/** To be given back with `done`, once. */
export interface ReachedApplication {
  readonly kind: 'reached';
  readonly stream: TunnelStream;
  readonly way: Way;
  readonly attempts: number;
}

export type CallFailure =
  | { readonly kind: 'no-endpoint' }
  | { readonly kind: 'unreachable'; readonly attempts: readonly FailedAttempt[] }
  /** The last of them was told that the service may not be called from here; others would be, too. */
  | { readonly kind: 'forbidden'; readonly attempts: readonly FailedAttempt[] }
  /** The caller's signal. */
  | { readonly kind: 'aborted' };

export interface FailedAttempt {
  readonly workload: string;
  readonly cluster: string;
  readonly address: string;
  readonly reason: string;
}

export interface CallerOptions {
  readonly pool: SessionPool;
  readonly onAttemptFailed: (attempt: FailedAttempt) => void;
}

export class Caller {
  readonly #options: CallerOptions;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  /** The way of nearly every call: a stream to the endpoint whose turn it is, open and waiting. */
  reachAtOnce(rotation: Rotation): ReachedApplication | undefined {
    const way = rotation.next();
    if (way === undefined) return undefined;
    const stream = this.#options.pool.takeIdle(way.key, rotation.authority);
    if (stream === undefined) {
      rotation.putBack(way);
      return undefined;
    }
    rotation.budget.countCall();
    way.member.inFlight++;
    return { kind: 'reached', stream, way, attempts: 1 };
  }

  /**
   * `tried`: ways by which this call has failed. `again`: one of them, of which only the connection was
   * lost; another may be made there when there is no other way.
   */
  async reach(
    rotation: Rotation,
    signal: AbortSignal,
    tried: readonly Way[] = [],
    again?: Way,
  ): Promise<CallOutcome> {
    if (tried.length === 0) rotation.budget.countCall();
    const used = [...tried];
    const failures: FailedAttempt[] = [];
    let last = again;
    while (used.length < ATTEMPTS_MAX) {
      const way = used.length === 0 ? rotation.next() : (rotation.nextAfter(used) ?? last);
      if (way === last) last = undefined;
      if (way === undefined) break;
      used.push(way);
      const waiting = this.#options.pool.takeIdle(way.key, rotation.authority);
      const attempt: Attempt =
        waiting === undefined
          ? await this.open(way, rotation.authority, signal)
          : { kind: 'reached', stream: waiting };
      if (signal.aborted) {
        if (attempt.kind === 'reached') attempt.stream.session.giveBack(attempt.stream);
        return { kind: 'aborted' };
      }
      if (attempt.kind === 'reached') {
        rotation.reached(way);
        way.member.inFlight++;
        return { ...attempt, way, attempts: used.length };
      }
      if (attempt.kind === 'forbidden') {
        rotation.reached(way);
        return {
          kind: 'forbidden',
          attempts: [...failures, describeFailure(way, 'forbidden')],
        };
      }
      failures.push(this.#failed(rotation, way, attempt));
    }
    return used.length === 0
      ? { kind: 'no-endpoint' }
      : { kind: 'unreachable', attempts: failures };
  }

  /** The call that reached an application is over there, however it ended. */
  done({ way }: ReachedApplication): void {
    way.member.inFlight--;
  }

  /** The far sidecar could not give a call to its application, and says so. */
  gaveBack(rotation: Rotation, way: Way): FailedAttempt {
    return this.#failed(rotation, way, { fault: 'endpoint', reason: 'application-unreachable' });
  }

  /** A new stream: that it is answered proves the way, the far sidecar and its application. */
  async open(way: Way, authority: string, signal: AbortSignal): Promise<Attempt> {
    try {
      const { outcome } = await this.#options.pool.open(way.target, authority, signal);
      if (outcome.kind === 'open') return { kind: 'reached', stream: outcome.stream };
      if (outcome.cause === 'forbidden') return { kind: 'forbidden' };
      const fault = outcome.cause === 'answered' ? 'endpoint' : 'way';
      return { kind: 'failed', fault, reason: outcome.reason };
    } catch (error) {
      const isConnect = isMeshError(error) && error.details['phase'] === 'connect';
      const fault = isConnect && way.gateway !== undefined ? 'gateway' : 'way';
      return { kind: 'failed', fault, reason: messageOf(error) };
    }
  }

  #failed(
    rotation: Rotation,
    way: Way,
    { fault, reason }: { readonly fault: Fault; readonly reason: string },
  ): FailedAttempt {
    rotation.failed(way, fault);
    const failure = describeFailure(way, reason);
    this.#options.onAttemptFailed(failure);
    return failure;
  }
}

export function describeFailure({ target }: Way, reason: string): FailedAttempt {
  const { endpoint, address } = target;
  return {
    workload: endpoint.workload,
    cluster: endpoint.cluster,
    address: formatAddress(address),
    reason,
  };
}

export type Attempt =
  | { readonly kind: 'reached'; readonly stream: TunnelStream }
  /** A verdict on us, not on the endpoint's health. */
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'failed'; readonly fault: Fault; readonly reason: string };
