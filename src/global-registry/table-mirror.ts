/**
 * This process's copy of the table, fed by one watch, read by every handler and subscriber.
 *
 * Each connection to the store begins with a snapshot that is compared with the copy, so whatever was
 * missed arrives as one ordinary change. While the store is away the copy stays: an outage must never
 * look like deletions. Records that cannot be read (someone else wrote to the store, or a newer version
 * did) are reported and left as they were.
 */

import { messageOf } from '../mesh/errors.ts';
import type { Intent, IntentKey } from '../mesh/intent.ts';
import type { Logger } from '../runtime/log.ts';
import { Backoff, sleep } from '../runtime/supervise.ts';
import { parseIntent } from '../wire/registry-intents.ts';
import { parseRecord, type RegistryRecord } from '../wire/registry-records.ts';
import { bytesOf, ChangeHistory, type HistoryBounds } from './change-history.ts';
import { KEY_PREFIX, parseKey, type RecordKey } from './keys.ts';
import {
  HISTORY_BYTES_MAX,
  HISTORY_REVISIONS_MAX,
  PUBLISH_BYTES_MAX,
  STORE_RETRY_MS_FIRST,
  STORE_RETRY_MS_MAX,
} from './limits.ts';
import type { RegistryMetrics } from './metrics.ts';
import type { RegistryStore, Revision, Snapshot, StoreEntry, StoreEvent } from './store.ts';

export type Row = RecordRow | IntentRow;

export interface RecordRow extends RecordKey {
  readonly kind: 'record';
  readonly record: RegistryRecord;
  readonly entry: StoreEntry;
}

export interface IntentRow {
  readonly kind: 'intent';
  readonly key: IntentKey;
  readonly intent: Intent;
  readonly entry: StoreEntry;
}

export interface TableMirrorOptions {
  readonly store: RegistryStore;
  readonly log: Logger;
  readonly metrics: RegistryMetrics;
  readonly historyBounds?: HistoryBounds;
}

export class TableMirror {
  readonly #options: TableMirrorOptions;
  readonly #bounds: HistoryBounds;
  readonly #rows = new Map<string, Row>();
  #history: ChangeHistory;
  #storeId: string | undefined;
  #outage: string | undefined = 'not connected yet';
  #stopped = false;

  constructor(options: TableMirrorOptions) {
    this.#options = options;
    this.#bounds = options.historyBounds ?? {
      revisionsMax: HISTORY_REVISIONS_MAX,
      bytesMax: HISTORY_BYTES_MAX,
    };
    this.#history = new ChangeHistory(0n, this.#bounds);
  }

  /** By store key. */
  get rows(): ReadonlyMap<string, Row> {
    return this.#rows;
  }

  /** Undefined until the first snapshot has been read. */
  get storeId(): string | undefined {
    return this.#storeId;
  }

  get revision(): bigint {
    return this.#history.latest;
  }

  /** Why the copy may be old, or undefined while it follows the store. */
  get outage(): string | undefined {
    return this.#outage;
  }

  /** Nothing will change any more; subscribers end their streams. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What followed a revision of this store; undefined when the reader needs the whole table. */
  after(storeId: string, revision: bigint): readonly Revision[] | undefined {
    return storeId === this.#storeId ? this.#history.after(revision) : undefined;
  }

  /** Resolves at the next change, on abort, or when the mirror stops. */
  changed(signal: AbortSignal): Promise<void> {
    return this.#history.changed(signal);
  }

  /** Resolves once the copy holds a revision, on abort, or when the mirror stops. */
  async reached(revision: bigint, signal: AbortSignal): Promise<void> {
    while (this.revision < revision && !signal.aborted && !this.#stopped) {
      await this.changed(signal);
    }
  }

  /** Follows the store until aborted; never rejects for a store that is away. */
  async run(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(STORE_RETRY_MS_FIRST, STORE_RETRY_MS_MAX);
    while (!signal.aborted) {
      const startMs = performance.now();
      try {
        await this.#follow(signal);
      } catch (error) {
        if (performance.now() - startMs > STORE_RETRY_MS_MAX) backoff.reset();
        this.#setOutage(messageOf(error));
        this.#options.log.warn({ error }, 'lost the store; serving the last known table');
        await sleep(backoff.next(), signal);
      }
    }
    this.#stopped = true;
    this.#history.close();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    const snapshot = await store.snapshot(KEY_PREFIX);
    this.#compare(snapshot);
    this.#setOutage(undefined);
    for await (const revision of store.watch(KEY_PREFIX, snapshot.revision, signal)) {
      this.#apply(revision);
    }
  }

  #compare({ storeId, revision, entries }: Snapshot): void {
    const events: StoreEvent[] = [];
    const found = new Set<string>();
    for (const entry of entries) {
      found.add(entry.key);
      if (this.#rows.get(entry.key)?.entry.revision !== entry.revision) {
        events.push({ kind: 'put', entry });
      }
    }
    for (const key of this.#rows.keys()) if (!found.has(key)) events.push({ kind: 'delete', key });
    const resumable = storeId === this.#storeId && revision >= this.revision;
    if (!resumable || bytesOf(events) > PUBLISH_BYTES_MAX) this.#restart(storeId, revision);
    this.#apply({ revision, events });
  }

  /** Another numbering, or more than fits one message: every reader is sent the whole table. */
  #restart(storeId: string, revision: bigint): void {
    this.#options.log.info({ storeId, revision: String(revision) }, 'reading a new store');
    const previous = this.#history;
    this.#storeId = storeId;
    this.#history = new ChangeHistory(revision, this.#bounds);
    previous.close();
  }

  #apply({ revision, events }: Revision): void {
    const effective = events.filter(event =>
      event.kind === 'put' ? this.#put(event.entry) : this.#rows.delete(event.key),
    );
    if (revision > this.revision) this.#history.push({ revision, events: effective });
    this.#options.metrics.records.set(this.#rows.size);
  }

  #put(entry: StoreEntry): boolean {
    const { log, metrics } = this.#options;
    try {
      this.#rows.set(entry.key, parseRow(entry));
      return true;
    } catch (error) {
      metrics.unreadableRecords.inc();
      log.warn({ error, key: entry.key.slice(0, 300) }, 'record left out: it cannot be read');
      return false;
    }
  }

  #setOutage(reason: string | undefined): void {
    this.#outage = reason;
    this.#options.metrics.storeUp.set(reason === undefined ? 1 : 0);
  }
}

function parseRow(entry: StoreEntry): Row {
  const key = parseKey(entry.key);
  switch (key?.kind) {
    case 'record':
      return { ...key, record: parseRecord(entry.value, key.cluster), entry };
    case 'intent':
      return { kind: 'intent', key: key.intent, intent: parseIntent(entry.value), entry };
    case undefined:
      throw new Error('the key is none of ours');
  }
}
