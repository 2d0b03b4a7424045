/**
 * What was taken back lately, so that proxies can be told that it was.
 *
 * A proxy that is suddenly sent much less keeps what it had (mesh/shrinkage.ts), unless the agent says
 * that the rest was withdrawn. The agent can say so only of what it has itself seen there before: one
 * that starts with an empty or partial view has seen nothing go. A service that went whole stays for a
 * while as one without endpoints, to carry the names of those it had.
 */

import type { Collection } from '../../mesh/collection.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { type Endpoint, type EndpointHash, endpointHash } from '../../mesh/service.ts';
import { sleep } from '../../runtime/supervise.ts';
import { WITHDRAWN_ENDPOINTS_MAX, WITHDRAWN_MS } from '../limits.ts';

interface Service {
  readonly endpoints: readonly Endpoint[];
}

export interface Withdrawn<S extends Service> {
  /** The last of a service that is gone; undefined while it is there. */
  readonly gone: S | undefined;
  readonly endpoints: readonly EndpointHash[];
}

interface Entry<S extends Service> {
  gone: S | undefined;
  readonly atMs: Map<EndpointHash, number>;
  changedMs: number;
}

const SWEEP_MS = 10_000;

export class Withdrawals<S extends Service> {
  readonly name = 'withdrawals';
  readonly #now: () => number;
  readonly #last: Map<ServiceKey, S>;
  readonly #entries = new Map<ServiceKey, Entry<S>>();
  readonly #observers = new Set<() => void>();

  constructor(services: Collection<ServiceKey, S>, now: () => number) {
    this.#now = now;
    this.#last = new Map(services.entries());
    services.observe(changes => {
      for (const change of changes) {
        this.#note(change.key, change.kind === 'put' ? change.value : undefined);
      }
      this.#announce();
    });
  }

  current(): ReadonlyMap<ServiceKey, Withdrawn<S>> {
    return new Map(
      [...this.#entries].map(([key, { gone, atMs }]) => [
        key,
        { gone, endpoints: [...atMs.keys()].sort() },
      ]),
    );
  }

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Forgets what every proxy has been told by now. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(SWEEP_MS, signal);
      this.#sweep();
    }
  }

  #note(key: ServiceKey, after: S | undefined): void {
    const before = this.#last.get(key);
    if (after === undefined) this.#last.delete(key);
    else this.#last.set(key, after);
    const known = this.#entries.get(key);
    const atMs = known?.atMs ?? new Map<EndpointHash, number>();
    const nowMs = this.#now();
    const present = new Set(after?.endpoints.map(hashOf));
    for (const hash of before?.endpoints.map(hashOf) ?? []) {
      if (!present.has(hash)) atMs.set(hash, nowMs);
    }
    for (const hash of present) atMs.delete(hash);
    for (const hash of [...atMs.keys()].slice(0, -WITHDRAWN_ENDPOINTS_MAX)) atMs.delete(hash);
    const gone = after === undefined ? (before ?? known?.gone) : undefined;
    if (gone === undefined && atMs.size === 0) this.#entries.delete(key);
    else this.#entries.set(key, { gone, atMs, changedMs: nowMs });
  }

  #sweep(): void {
    const oldestMs = this.#now() - WITHDRAWN_MS;
    let swept = false;
    for (const [key, entry] of this.#entries) {
      for (const [hash, atMs] of entry.atMs) {
        if (atMs >= oldestMs) continue;
        entry.atMs.delete(hash);
        swept = true;
      }
      if (entry.changedMs >= oldestMs || entry.atMs.size > 0) continue;
      this.#entries.delete(key);
      swept = true;
    }
    if (swept) this.#announce();
  }

  #announce(): void {
    for (const observer of [...this.#observers]) observer();
  }
}

function hashOf({ cluster, workload }: Endpoint): EndpointHash {
  return endpointHash(cluster, workload);
}
