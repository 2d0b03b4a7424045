/**
 * The registry's table in one process and one directory: for a laptop, a demo, a small ClusterSet.
 *
 * Memory is changed first and shown last: a change is applied, journaled, synced, and only then
 * acknowledged and announced, so nobody ever sees what a crash could take back. Leases get a full TTL
 * when the store opens, and when it finds that it had been stopped itself, as etcd does on an election:
 * the silence was ours, not the lessee's.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import {
  HISTORY_BYTES_MAX,
  HISTORY_REVISIONS_MAX,
  JOURNAL_BYTES_MAX,
  LEASE_STALL_MS_MAX,
} from '../limits.ts';
import { bytesOf, ChangeHistory } from '../table/change-history.ts';
import { type OpenedFiles, openEmbeddedFiles } from './embedded-files.ts';
import type { StateRecord } from './embedded-state.ts';
import type { Commit, Index, RegistryStore, Revision, Snapshot, StoreLease } from './store.ts';

/** Time that never jumps. */
export interface Timers {
  now(): number;
  /** Returns the way to cancel. */
  after(ms: number, run: () => void): () => void;
}

export interface EmbeddedStoreOptions {
  readonly dir: string;
  readonly log: Logger;
  readonly timers?: Timers;
  readonly historyRevisionsMax?: number;
  readonly journalBytesMax?: number;
}

const SYSTEM_TIMERS: Timers = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Throws STATE_LOCKED, FILE_CORRUPT, FILE_UNREADABLE, FILE_PERMISSIONS. */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<RegistryStore> {
  const store = new EmbeddedStore(options, await openEmbeddedFiles(options.dir, options.log));
  await store.start();
  return store;
}

class EmbeddedStore implements RegistryStore {
  readonly kind = 'embedded';
  readonly #log: Logger;
  readonly #timers: Timers;
  readonly #journalBytesMax: number;
  readonly #files: OpenedFiles['files'];
  readonly #state: OpenedFiles['state'];
  readonly #history: ChangeHistory<Revision>;
  readonly #expiries = new Map<string, number>();
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(options: EmbeddedStoreOptions, { files, state, recent }: OpenedFiles) {
    this.#log = options.log;
    this.#timers = options.timers ?? SYSTEM_TIMERS;
    this.#journalBytesMax = options.journalBytesMax ?? JOURNAL_BYTES_MAX;
    this.#files = files;
    this.#state = state;
    const [first] = recent;
    this.#history = new ChangeHistory(first === undefined ? state.revision : first.revision - 1n, {
      revisionsMax: options.historyRevisionsMax ?? HISTORY_REVISIONS_MAX,
      bytesMax: HISTORY_BYTES_MAX,
      bytesOf: ({ events }) => bytesOf(events),
    });
    for (const revision of recent) this.#history.push(revision);
  }

  async start(): Promise<void> {
    if (this.#state.storeId === '') {
      await this.#write({ kind: 'created', storeId: randomUUID() });
    }
    this.#renewAll();
  }

  async grantLease(ttlMs: number): Promise<StoreLease> {
    const leaseId = randomBytes(8).toString('hex');
    await this.#write({ kind: 'granted', leaseId, ttlMs });
    this.#renew(leaseId, ttlMs);
    return { leaseId, ttlMs };
  }

  async keepAlive(leaseId: string): Promise<StoreLease> {
    const ttlMs = this.#state.leases.get(leaseId);
    if (ttlMs === undefined || !this.#expiries.has(leaseId)) {
      throw new MeshError('LEASE_NOT_FOUND', `lease "${leaseId}" has expired or never existed`);
    }
    this.#renew(leaseId, ttlMs);
    return { leaseId, ttlMs };
  }

  async commit(commit: Commit): Promise<bigint> {
    const record = this.#state.plan(commit);
    if (record !== undefined) return this.#write(record);
    const { revision } = this.#state;
    await this.#files.flushed();
    return revision;
  }

  async snapshot(prefix: string): Promise<Snapshot> {
    const { storeId, revision } = this.#state;
    const entries = [...this.#state.entries.values()].filter(({ key }) => key.startsWith(prefix));
    await this.#files.flushed();
    return { storeId, term: 0n, revision, entries };
  }

  async index(prefix: string): Promise<Index> {
    const { entries, ...position } = await this.snapshot(prefix);
    return { ...position, revisions: new Map(entries.map(each => [each.key, each.revision])) };
  }

  async *watch(
    prefix: string,
    afterRevision: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<Revision, void> {
    let at = afterRevision;
    while (!signal.aborted) {
      if (this.#closed) throw new MeshError('STORE_UNAVAILABLE', 'the store is closed');
      const revisions = this.#history.after(at);
      if (revisions === undefined) {
        throw new MeshError('REVISION_COMPACTED', `the changes after revision ${at} are not held`);
      }
      for (const { revision, events } of revisions) {
        at = revision;
        const matching = events.filter(event =>
          (event.kind === 'put' ? event.entry.key : event.key).startsWith(prefix),
        );
        if (matching.length > 0) yield { revision, events: matching };
      }
      if (revisions.length === 0) await this.#history.changed(signal);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#history.close();
    await this.#files.close();
  }

  /** Returns the revision of the state with the record, once that is on disk. */
  async #write(record: StateRecord): Promise<bigint> {
    if (this.#closed) throw new MeshError('STORE_UNAVAILABLE', 'the store is closed');
    const change = this.#state.apply(record);
    const { revision } = this.#state;
    await this.#files.append(record);
    if (change !== undefined) this.#history.push(change);
    this.#files.rotate(this.#journalBytesMax, this.#state);
    return revision;
  }

  #renewAll(): void {
    const now = this.#timers.now();
    for (const [leaseId, ttlMs] of this.#state.leases) this.#expiries.set(leaseId, now + ttlMs);
    this.#schedule();
  }

  #renew(leaseId: string, ttlMs: number): void {
    this.#expiries.set(leaseId, this.#timers.now() + ttlMs);
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#closed || this.#expiries.size === 0) return;
    const due = Math.min(...this.#expiries.values());
    this.#cancelTimer = this.#timers.after(Math.max(0, due - this.#timers.now()), () =>
      this.#expire(due),
    );
  }

  #expire(due: number): void {
    const now = this.#timers.now();
    const lateMs = now - due;
    if (lateMs > LEASE_STALL_MS_MAX) {
      this.#log.warn({ lateMs }, 'this process had been stopped; every lease gets a full TTL');
      this.#renewAll();
      return;
    }
    for (const [leaseId, expiry] of this.#expiries) {
      if (expiry > now) continue;
      this.#expiries.delete(leaseId);
      this.#write(this.#state.planExpiry(leaseId)).catch((error: unknown) =>
        this.#log.error({ error, leaseId }, 'lease expiry was not written'),
      );
    }
    this.#schedule();
  }
}
