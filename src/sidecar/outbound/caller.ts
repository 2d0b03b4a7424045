/**
 * From an upstream to an open byte stream at one of its applications.
 *
 * Another endpoint is tried only while nothing of the call has reached an application: a failed connect,
 * handshake or CONNECT, or a stream that the far sidecar gave back untouched. Once an application has
 * a byte of it the call is theirs and is never sent twice.
 */

import { formatAddress } from '../../mesh/address.ts';
import { addressTurn, bestLevel, chooseTarget, type Target } from '../../mesh/balancing.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import { ATTEMPTS_MAX } from '../limits.ts';
import { type SessionPool, sessionKey } from '../tunnel/pool.ts';
import type { TunnelStream } from '../tunnel/session.ts';
import type { HealthTable } from './health.ts';

export type CallOutcome = ReachedApplication | CallFailure;

export interface ReachedApplication {
  readonly kind: 'reached';
  readonly stream: TunnelStream;
  readonly target: Target;
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

/** What is the same for all calls of an upstream. */
interface Rotation {
  readonly authority: string;
  /** Each upstream's own, or calls of two upstreams in turn would each keep to every other endpoint. */
  turn: number;
  /** Where calls go while no endpoint is ejected: the addresses of each endpoint of the best level. */
  readonly level: readonly (readonly Way[])[];
}

interface Way {
  readonly target: Target;
  readonly key: string;
}

export class Caller {
  readonly #options: CallerOptions;
  readonly #rotations = new WeakMap<Upstream, Rotation>();

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  /** The way of nearly every call: a stream to the endpoint whose turn it is, open and waiting. */
  reachAtOnce(upstream: Upstream): ReachedApplication | undefined {
    const { health, pool } = this.#options;
    const rotation = this.#rotationOf(upstream);
    const way = health.allInService ? nextWay(rotation, upstream.endpoints.length) : undefined;
    const stream = way === undefined ? undefined : pool.takeIdle(way.key, rotation.authority);
    if (way === undefined || stream === undefined) return undefined;
    rotation.turn++;
    return { kind: 'reached', stream, target: way.target, attempts: 1 };
  }

  /** `tried`: targets that gave this call back untouched. */
  async reach(
    upstream: Upstream,
    signal: AbortSignal,
    tried: readonly Target[] = [],
  ): Promise<CallOutcome> {
    const { health } = this.#options;
    const rotation = this.#rotationOf(upstream);
    const turn = rotation.turn++;
    const excluded = [...tried];
    const failures: FailedAttempt[] = [];
    while (excluded.length < ATTEMPTS_MAX) {
      const target = chooseTarget(upstream.endpoints, excluded, {
        isEjected: hash => health.isEjected(hash),
        turn,
      });
      if (target === undefined) break;
      excluded.push(target);
      const attempt = await this.#attempt(target, rotation.authority, signal);
      if (signal.aborted) {
        if (attempt.kind === 'reached') attempt.stream.session.giveBack(attempt.stream);
        return { kind: 'aborted' };
      }
      if (attempt.kind === 'reached') {
        health.record(target.endpoint.hash, 'connected');
        return { ...attempt, target, attempts: excluded.length };
      }
      failures.push(this.#failed(target, attempt.reason));
    }
    return excluded.length === 0
      ? { kind: 'no-endpoint' }
      : { kind: 'unreachable', attempts: failures };
  }

  /** The far sidecar could not give a call to its application, and says so. */
  gaveBack(target: Target): FailedAttempt {
    return this.#failed(target, 'application-unreachable');
  }

  #failed({ endpoint, address }: Target, reason: string): FailedAttempt {
    this.#options.health.record(endpoint.hash, 'connect-failed');
    const failure = {
      workload: endpoint.workload,
      cluster: endpoint.cluster,
      address: formatAddress(address),
      reason,
    };
    this.#options.onAttemptFailed(failure);
    return failure;
  }

  /** The first turn is drawn, so that sidecars started together do not all begin with one endpoint. */
  #rotationOf(upstream: Upstream): Rotation {
    let rotation = this.#rotations.get(upstream);
    if (rotation === undefined) {
      const { endpoints, host, port } = upstream;
      const level = bestLevel(endpoints).map(endpoint =>
        endpoint.addresses.map(address => {
          const target = { endpoint, address };
          return { target, key: sessionKey(target) };
        }),
      );
      const turn = Math.floor(this.#options.random() * endpoints.length);
      rotation = { authority: `${host}:${port}`, turn, level };
      this.#rotations.set(upstream, rotation);
    }
    return rotation;
  }

  async #attempt(target: Target, authority: string, signal: AbortSignal): Promise<Attempt> {
    const { pool } = this.#options;
    const waiting = pool.takeIdle(sessionKey(target), authority);
    if (waiting !== undefined) return { kind: 'reached', stream: waiting };
    try {
      const { outcome } = await pool.open(target, authority, signal);
      return outcome.kind === 'open'
        ? { kind: 'reached', stream: outcome.stream }
        : { kind: 'failed', reason: outcome.reason };
    } catch (error) {
      return { kind: 'failed', reason: messageOf(error) };
    }
  }
}

function nextWay({ level, turn }: Rotation, endpoints: number): Way | undefined {
  const ways = level[turn % level.length];
  return ways?.[addressTurn(turn, endpoints) % ways.length];
}

type Attempt =
  | { readonly kind: 'reached'; readonly stream: TunnelStream }
  | { readonly kind: 'failed'; readonly reason: string };
