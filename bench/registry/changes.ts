/**
 * From an endpoint's change to every other cluster: one member publishes, all of them watch, and each
 * delivery is timed from before the publication was sent.
 */

import { setMaxListeners } from 'node:events';
import { sleep } from '../../src/runtime/supervise.ts';
import type { RegistryUpdate, WatchPosition } from '../../src/wire/registry-records.ts';
import { percentile } from '../figures.ts';
import type { Member } from './member.ts';

/** Changes that are behind by more than this will not come. */
const DELIVERED_MS_MAX = 30_000;
const POLL_MS = 20;

export interface ChangeFigures {
  readonly changes: number;
  /** Deliveries that never came. */
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Watchers from where the table is now: what a change costs, not what a start does. */
export class Watchers {
  readonly #members: readonly Member[];
  readonly #position: WatchPosition;
  readonly #stop = new AbortController();
  readonly #sentMs = new Map<string, number>();
  readonly #latenciesMs: number[] = [];
  #ready = 0;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(members: readonly Member[], position: WatchPosition) {
    this.#members = members;
    this.#position = position;
  }

  async start(): Promise<void> {
    setMaxListeners(0, this.#stop.signal);
    this.#ended = Promise.all(this.#members.map(member => this.#follow(member)));
    while (this.#ready < this.#members.length) await sleep(POLL_MS);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** One member after the other changes an endpoint, so many a second. */
  async change(count: number, perSecond: number): Promise<ChangeFigures> {
    this.#latenciesMs.length = 0;
    const publishing: Promise<unknown>[] = [];
    for (let i = 0; i < count; i++) {
      const member = this.#members[i % this.#members.length];
      if (member === undefined) throw new Error('no members');
      const mark = `mark-${i}`;
      this.#sentMs.set(mark, performance.now());
      const record = member.slice(`svc-${i % 10}`, 3, mark);
      const publication = member.client.publish({ puts: [record], deletes: [] });
      // One that fails is told of below, not in the middle of the others.
      publication.catch(() => undefined);
      publishing.push(publication);
      await sleep(1000 / perSecond);
    }
    await Promise.all(publishing);
    const expected = count * this.#members.length;
    const deadline = performance.now() + DELIVERED_MS_MAX;
    while (this.#latenciesMs.length < expected && performance.now() < deadline) {
      await sleep(POLL_MS);
    }
    const ascending = Float64Array.from(this.#latenciesMs).sort();
    return {
      changes: count,
      lost: expected - ascending.length,
      p50Ms: percentile(ascending, 0.5),
      p99Ms: percentile(ascending, 0.99),
      maxMs: percentile(ascending, 1),
    };
  }

  async #follow(member: Member): Promise<void> {
    let first = true;
    for await (const update of member.follow(this.#position, this.#stop.signal)) {
      if (first) this.#ready += 1;
      first = false;
      this.#note(update);
    }
  }

  #note(update: RegistryUpdate): void {
    if (update.kind !== 'changes') return;
    const nowMs = performance.now();
    for (const change of update.changes) {
      if (change.kind !== 'put' || change.stored.record.kind !== 'export-slice') continue;
      const mark = change.stored.record.slice.endpoints[0]?.locality.zone;
      const sentMs = this.#sentMs.get(mark ?? '');
      if (sentMs !== undefined) this.#latenciesMs.push(nowMs - sentMs);
    }
  }
}
