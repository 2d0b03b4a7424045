/**
 * From an upstream to an open byte stream at one of its applications.
 *
 * Another endpoint is tried only while nothing of the call has reached an application: a failed connect,
 * handshake or CONNECT. Once the far sidecar has answered 200 the call is theirs and is never sent twice.
 */

import type { Duplex } from 'node:stream';
import { formatAddress } from '../../mesh/address.ts';
import { chooseTarget, type Target } from '../../mesh/balancing.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import type { AcceptedPeer } from '../../trust-federation/verify.ts';
import { ATTEMPTS_MAX } from '../limits.ts';
import type { SessionPool } from '../tunnel/pool.ts';
import type { HealthTable } from './health.ts';

export type CallOutcome = ReachedApplication | CallFailure;

export interface ReachedApplication {
  readonly kind: 'reached';
  readonly stream: Duplex;
  readonly target: Target;
  readonly peer: AcceptedPeer;
  readonly attempts: number;
}

export type CallFailure =
  | { readonly kind: 'no-endpoint' }
  | { readonly kind: 'unreachable'; readonly attempts: readonly FailedAttempt[] }
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
  readonly health: HealthTable;
  readonly onAttemptFailed: (attempt: FailedAttempt) => void;
  readonly random: () => number;
}

export class Caller {
  readonly #options: CallerOptions;
  /** Each upstream's own, or calls of two upstreams in turn would each keep to every other endpoint. */
  readonly #turns = new WeakMap<Upstream, number>();

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  async reach(upstream: Upstream, signal: AbortSignal): Promise<CallOutcome> {
    const { health, onAttemptFailed } = this.#options;
    const turn = this.#nextTurn(upstream);
    const authority = `${upstream.host}:${upstream.port}`;
    const tried: Target[] = [];
    const failures: FailedAttempt[] = [];
    while (tried.length < ATTEMPTS_MAX) {
      const target = chooseTarget(upstream.endpoints, tried, {
        isEjected: hash => health.isEjected(hash),
        turn,
      });
      if (target === undefined) break;
      tried.push(target);
      const attempt = await this.#attempt(target, authority, signal);
      if (signal.aborted) {
        if (attempt.kind === 'reached') attempt.stream.destroy();
        return { kind: 'aborted' };
      }
      if (attempt.kind === 'reached') {
        health.record(target.endpoint.hash, 'connected');
        return { ...attempt, target, attempts: tried.length };
      }
      health.record(target.endpoint.hash, 'connect-failed');
      const failure: FailedAttempt = {
        workload: target.endpoint.workload,
        cluster: target.endpoint.cluster,
        address: formatAddress(target.address),
        reason: attempt.reason,
      };
      onAttemptFailed(failure);
      failures.push(failure);
    }
    return tried.length === 0
      ? { kind: 'no-endpoint' }
      : { kind: 'unreachable', attempts: failures };
  }

  /** The first is drawn, so that sidecars started together do not all begin with one endpoint. */
  #nextTurn(upstream: Upstream): number {
    const turn =
      this.#turns.get(upstream) ?? Math.floor(this.#options.random() * upstream.endpoints.length);
    this.#turns.set(upstream, turn + 1);
    return turn;
  }

  async #attempt(target: Target, authority: string, signal: AbortSignal): Promise<Attempt> {
    try {
      const { outcome, peer } = await this.#options.pool.open(target, authority, signal);
      return outcome.kind === 'open'
        ? { kind: 'reached', stream: outcome.stream, peer }
        : { kind: 'failed', reason: outcome.reason };
    } catch (error) {
      return { kind: 'failed', reason: messageOf(error) };
    }
  }
}

type Attempt =
  | { readonly kind: 'reached'; readonly stream: Duplex; readonly peer: AcceptedPeer }
  | { readonly kind: 'failed'; readonly reason: string };
