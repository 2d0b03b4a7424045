/**
 * This process's copy of the table, fed by one watch, read by every handler and subscriber.
 *
 * Each connection to the store begins with a snapshot that is compared with the copy, so whatever was
 * missed arrives as one ordinary change. While the store is away the copy stays: an outage must never
 * look like deletions. The watch is not believed to be complete. It covers the whole store, where every
 * revision has an event, so one that does not follow the last ends it before it is shown to anyone; and
 * every few seconds the copy is compared with an index read from a quorum (mirror-check.ts). A store
 * that has gone back in time is not followed at all (rewind.ts).
 *
 * Records that cannot be read (someone else wrote to the store, or a newer version did) are reported and
 * left as they were.
 */

import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { Backoff, sleep, supervise } from '../../runtime/supervise.ts';
import { EPOCH_KEY, isMirrored, KEY_PREFIX } from '../keys.ts';
import {
  CHECK_MS_MIN,
  HISTORY_BYTES_MAX,
  HISTORY_REVISIONS_MAX,
  PUBLISH_BYTES_MAX,
  REWIND_SIGHTINGS,
  STORE_FOLLOWED_MS_MIN,
  STORE_RETRY_MS_FIRST,
  STORE_RETRY_MS_MAX,
} from '../limits.ts';
import type { RegistryMetrics } from '../metrics.ts';
import type { RegistryStore, Revision, Snapshot, StoreEvent } from '../store/store.ts';
import { ChangeHistory, type HistoryBounds } from './change-history.ts';
import { checkMirror } from './mirror-check.ts';
import { numberingOf, parseEpoch, rewindOf, type StoreMark } from './rewind.ts';
import { RegistryTable, type Row, type TableChange } from './table.ts';

/** The prefix of every key. */
const EVERYTHING = '';

export interface TableRevision {
  readonly revision: bigint;
  readonly changes: readonly TableChange[];
  /** Of all that it changed, before and after. */
  readonly bytes: number;
}

export interface TableMirrorOptions {
  readonly store: RegistryStore;
  readonly log: Logger;
  readonly metrics: RegistryMetrics;
  readonly historyBounds?: Pick<HistoryBounds<TableRevision>, 'revisionsMax' | 'bytesMax'>;
  /** Default: CHECK_MS_MIN. */
  readonly checkMsMin?: number;
  /** How far an earlier process had seen the store. */
  readonly mark?: StoreMark;
  /** `mark` has moved on. */
  readonly onMark?: () => void;
}

export class TableMirror {
  readonly table: RegistryTable;
  readonly #options: TableMirrorOptions;
  readonly #bounds: HistoryBounds<TableRevision>;
  #history: ChangeHistory<TableRevision>;
  #mark: StoreMark | undefined;
  #storeId: string | undefined;
  #outage: string | undefined = 'not connected yet';
  #frozen: string | undefined;
  #sightings = 0;
  #generation = 0;
  #stopped = false;

  constructor(options: TableMirrorOptions) {
    const { historyBounds, log, metrics } = options;
    this.#options = options;
    this.#mark = options.mark;
    this.#bounds = {
      revisionsMax: HISTORY_REVISIONS_MAX,
      bytesMax: HISTORY_BYTES_MAX,
      ...historyBounds,
      bytesOf: ({ bytes }) => bytes,
    };
    this.#history = new ChangeHistory(0n, this.#bounds);
    this.table = new RegistryTable((error, key) => {
      metrics.unreadableRecords.inc();
      log.warn({ error, key: key.slice(0, 300) }, 'record left out: it cannot be read');
    });
  }

  /** By store key. */
  get rows(): ReadonlyMap<string, Row> {
    return this.table.rows;
  }

  /** The numbering of its revisions; undefined until the first snapshot has been read. */
  get storeId(): string | undefined {
    return this.#storeId;
  }

  get revision(): bigint {
    return this.#history.latest;
  }

  /** Counts the times that readers had to start over: their positions of before mean nothing. */
  get generation(): number {
    return this.#generation;
  }

  /** How far the store has been seen, by this process or one before it. */
  get mark(): StoreMark | undefined {
    return this.#mark;
  }

  /** Why the copy may be old, or undefined while it follows the store. */
  get outage(): string | undefined {
    return this.#outage;
  }

  /** What went back in the store, while no operator has confirmed it. */
  get frozen(): string | undefined {
    return this.#frozen;
  }

  /** Nothing will change any more; subscribers end their streams. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What followed a revision of this store; undefined when the reader needs the whole table. */
  after(storeId: string, revision: bigint): readonly TableRevision[] | undefined {
    return storeId === this.#storeId ? this.#history.after(revision) : undefined;
  }

  /** Resolves at the next change, on abort, after `ms`, or when the mirror stops. */
  changed(signal: AbortSignal, ms?: number): Promise<void> {
    return this.#history.changed(signal, ms);
  }

  /** Resolves once the copy holds a revision, on abort, or when the mirror stops. */
  async reached(revision: bigint, signal: AbortSignal): Promise<void> {
    while (this.revision < revision && !signal.aborted && !this.#stopped) {
      await this.changed(signal);
    }
  }

  /** Follows the store until aborted; never rejects for a store that is away. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const backoff = new Backoff(STORE_RETRY_MS_FIRST, STORE_RETRY_MS_MAX);
    while (!signal.aborted) {
      const startMs = performance.now();
      try {
        await this.#follow(signal);
      } catch (error) {
        if (performance.now() - startMs > STORE_FOLLOWED_MS_MIN) backoff.reset();
        this.#setOutage(messageOf(error));
        log.warn({ error }, 'not following the store; serving the last known table');
        await sleep(backoff.next(), signal);
      }
    }
    this.#stopped = true;
    this.#history.close();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store, log, metrics, checkMsMin = CHECK_MS_MIN } = this.#options;
    const snapshot = await store.snapshot(KEY_PREFIX);
    this.#accept(snapshot);
    this.#compare(snapshot);
    this.#setOutage(undefined);
    const { table } = this;
    const deletedAfter = this.#deletedAfter.bind(this);
    await supervise(
      [
        {
          name: 'watch',
          run: async stop => {
            for await (const revision of store.watch(EVERYTHING, snapshot.revision, stop)) {
              this.#continue(revision);
            }
          },
        },
        {
          name: 'check',
          run: stop =>
            checkMirror({ store, table, deletedAfter, log, metrics, msMin: checkMsMin }, stop),
        },
      ],
      signal,
    );
  }

  /** Throws STORE_UNAVAILABLE when the store has gone back, once that has been seen for certain. */
  #accept(snapshot: Snapshot): void {
    const { storeId, term, revision, entries } = snapshot;
    const epoch = parseEpoch(entries.find(({ key }) => key === EPOCH_KEY)?.value);
    const found = { storeId, term, revision, epoch };
    const rewind = rewindOf(this.#mark, found);
    if (rewind !== undefined) {
      // etcd 3.4 can answer with an old revision just after it has been paused (etcd #20418).
      this.#sightings += 1;
      if (this.#sightings >= REWIND_SIGHTINGS) this.#setFrozen(rewind);
      throw new MeshError(
        'STORE_UNAVAILABLE',
        `${rewind}; was it restored from a backup? If its content is to be used from now on, run: isthmus unfreeze`,
      );
    }
    this.#sightings = 0;
    this.#setFrozen(undefined);
    this.#setMark(found);
  }

  #compare({ revision, entries }: Snapshot): void {
    const storeId = this.#mark === undefined ? '' : numberingOf(this.#mark);
    const sameNumbering = storeId === this.#storeId;
    const events: StoreEvent[] = [];
    const found = new Set<string>();
    for (const entry of entries) {
      if (!isMirrored(entry.key)) continue;
      found.add(entry.key);
      // Equal revisions of two numberings are a coincidence.
      const held = sameNumbering && this.table.revisionOf(entry.key) === entry.revision;
      if (!held) events.push({ kind: 'put', entry });
    }
    for (const key of this.table.keys()) if (!found.has(key)) events.push({ kind: 'delete', key });
    const resumable =
      sameNumbering &&
      (revision > this.revision || (revision === this.revision && events.length === 0));
    const changes = this.table.apply(events);
    const bytes = bytesOf(changes);
    if (!resumable || bytes > PUBLISH_BYTES_MAX) this.#restart(storeId, revision);
    else if (revision > this.revision) this.#history.push({ revision, changes, bytes });
    this.#count();
  }

  /** Another numbering, or more than fits one message: every reader is sent the whole table. */
  #restart(storeId: string, revision: bigint): void {
    this.#options.log.info({ storeId, revision: String(revision) }, 'reading the store anew');
    const previous = this.#history;
    this.#generation += 1;
    this.#storeId = storeId;
    this.#history = new ChangeHistory(revision, this.#bounds);
    previous.close();
  }

  /** Throws REVISION_COMPACTED when the watch cannot be the continuation of this copy. */
  #continue({ revision, events }: Revision): void {
    if (revision !== this.revision + 1n) {
      this.#options.metrics.repairs.inc();
      throw new MeshError(
        'REVISION_COMPACTED',
        `the watch went from revision ${this.revision} to ${revision}; reading the table again`,
      );
    }
    if (events.some(event => event.kind === 'put' && event.entry.key === EPOCH_KEY)) {
      throw new MeshError('REVISION_COMPACTED', 'an operator has confirmed the store anew');
    }
    const mirrored = events.filter(event =>
      isMirrored(event.kind === 'put' ? event.entry.key : event.key),
    );
    const changes = this.table.apply(mirrored);
    this.#history.push({ revision, changes, bytes: bytesOf(changes) });
    if (this.#mark !== undefined) this.#setMark({ ...this.#mark, revision });
    this.#count();
  }

  #deletedAfter(key: string, revision: bigint): boolean {
    if (this.rows.has(key)) return false;
    const later = this.#history.after(revision) ?? [];
    return later.some(({ changes }) => changes.some(({ before }) => before?.entry.key === key));
  }

  #count(): void {
    this.#options.metrics.records.set(this.table.rows.size);
  }

  #setMark(mark: StoreMark): void {
    this.#mark = mark;
    this.#options.onMark?.();
  }

  #setOutage(reason: string | undefined): void {
    this.#outage = reason;
    this.#options.metrics.storeUp.set(reason === undefined ? 1 : 0);
  }

  #setFrozen(reason: string | undefined): void {
    if (reason !== undefined && this.#frozen === undefined) {
      this.#options.log.error({ reason }, 'frozen: the store has gone back in time');
    }
    this.#frozen = reason;
    this.#options.metrics.frozen.set(reason === undefined ? 0 : 1);
  }
}

function bytesOf(changes: readonly TableChange[]): number {
  return changes
    .flatMap(({ before, after }) => [before, after])
    .reduce((sum, row) => sum + (row?.entry.key.length ?? 0) + (row?.entry.value.length ?? 0), 0);
}
