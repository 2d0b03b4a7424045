/**
 * The ClusterSet's table in memory, and who may see what of it.
 *
 * Pure: what a revision of the store changed goes in, what that means for each row comes out. A row's
 * audience depends on other rows too (who else exports the service, what the operators said of it), so
 * one event can change the audience of many rows; each of those is a change of its own.
 */

import type { ClusterConfig } from '../../mesh/cluster.ts';
import type { Intent, IntentKey } from '../../mesh/intent.ts';
import { intentKey } from '../../mesh/intent.ts';
import type { ClusterName, ServiceKey } from '../../mesh/names.ts';
import { type Standing, standings } from '../../mesh/ownership.ts';
import { keyOf } from '../../mesh/service.ts';
import { parseIntent } from '../../wire/registry-intents.ts';
import { parseRecord, type RecordId } from '../../wire/registry-records.ts';
import { TableDigest } from '../../wire/table-digest.ts';
import {
  formatIntentKey,
  formatKey,
  type PrivateTable,
  parseKey,
  type RecordKey,
  sharedKey,
} from '../keys.ts';
import type { StoreEntry, StoreEvent } from '../store/store.ts';
import { type KeptRecord, kept } from './kept-record.ts';
import { type Stored, Usage } from './usage.ts';

/** Its own cluster is always in the set. */
export type Audience = 'everyone' | 'nobody' | ReadonlySet<ClusterName>;

interface RowBase {
  readonly entry: StoreEntry;
  readonly audience: Audience;
}

export interface RecordRow extends RowBase, RecordKey {
  readonly kind: 'record';
  readonly record: KeptRecord;
}

export interface IntentRow extends RowBase {
  readonly kind: 'intent';
  readonly key: IntentKey;
  readonly intent: Intent;
}

/** For the registry processes alone. */
export interface PrivateRow extends RowBase {
  readonly kind: 'private';
  readonly table: PrivateTable;
}

export type Row = RecordRow | IntentRow | PrivateRow;

export interface WaitingService {
  readonly service: ServiceKey;
  readonly exporters: readonly ClusterName[];
  readonly standing: ReadonlyMap<ClusterName, Standing>;
}

export interface TableChange {
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

export function sees(reader: ClusterName, row: Row | undefined): row is Row {
  if (row === undefined || row.audience === 'nobody') return false;
  return row.audience === 'everyone' || row.audience.has(reader);
}

export class RegistryTable {
  readonly #report: (error: unknown, key: string) => void;
  readonly #rows = new Map<string, Row>();
  readonly #configs = new Map<ClusterName, ClusterConfig>();
  readonly #usage = new Map<ClusterName, Usage>();
  readonly #slices = new Map<ServiceKey, Map<string, RecordRow>>();
  /** Entries that cannot be read, by key: what was held of them before stays. */
  readonly #unreadable = new Map<string, bigint>();
  readonly #intents = new Map<string, IntentRow>();
  readonly #private = new Map<PrivateTable, Map<string, PrivateRow>>();
  /** Services with an exporter that waits. */
  readonly #waiting = new Map<ServiceKey, Map<ClusterName, Standing>>();
  /** Of what everyone sees; what only some see is kept beside it. */
  readonly #common = new TableDigest();
  readonly #restricted = new Map<string, Row>();

  constructor(unreadable: (error: unknown, key: string) => void) {
    this.#report = unreadable;
  }

  /** By store key. */
  get rows(): ReadonlyMap<string, Row> {
    return this.#rows;
  }

  /** What each cluster says of itself. */
  get configs(): ReadonlyMap<ClusterName, ClusterConfig> {
    return this.#configs;
  }

  record(cluster: ClusterName, id: RecordId): RecordRow | undefined {
    const row = this.#rows.get(formatKey({ cluster, id }));
    return row?.kind === 'record' ? row : undefined;
  }

  /** Of one cluster. */
  slicesOf(cluster: ClusterName, service: ServiceKey): RecordRow[] {
    const rows = this.#slices.get(service)?.values() ?? [];
    return [...rows].filter(row => row.cluster === cluster);
  }

  usageOf(cluster: ClusterName): Usage {
    return this.#usage.get(cluster) ?? new Usage();
  }

  services(): Iterable<readonly [ServiceKey, readonly RecordRow[]]> {
    return [...this.#slices].map(([key, rows]) => [key, [...rows.values()]] as const);
  }

  intents(): Iterable<IntentRow> {
    return this.#intents.values();
  }

  privateRows(table: PrivateTable): ReadonlyMap<string, PrivateRow> {
    return this.#private.get(table) ?? new Map();
  }

  /** Services that have an exporter which waits to be approved. */
  waiting(): WaitingService[] {
    return [...this.#waiting].map(([service, standing]) => ({
      service,
      exporters: [...standing.keys()],
      standing,
    }));
  }

  /** The revision at which a key was last written, as far as this copy knows. */
  revisionOf(key: string): bigint | undefined {
    return this.#unreadable.get(key) ?? this.#rows.get(key)?.entry.revision;
  }

  /** Every key of the store that this copy stands for. */
  *keys(): Iterable<string> {
    yield* this.#rows.keys();
    for (const key of this.#unreadable.keys()) if (!this.#rows.has(key)) yield key;
  }

  /** What of it changed; afterwards every audience is right again. */
  apply(events: readonly StoreEvent[]): TableChange[] {
    const before = new Map<string, Row | undefined>();
    const touched = new Set<ServiceKey>();
    for (const event of events) {
      const key = event.kind === 'put' ? event.entry.key : event.key;
      const old = this.#rows.get(key);
      const row = event.kind === 'put' ? this.#read(event.entry) : undefined;
      if (event.kind === 'put' && row === undefined) continue;
      this.#unreadable.delete(key);
      if (old === undefined && row === undefined) continue;
      if (!before.has(key)) before.set(key, old);
      this.#set(key, row);
      for (const each of [old, row]) {
        const service = serviceOf(each);
        if (service !== undefined) touched.add(service);
      }
    }
    for (const service of touched) {
      for (const [key, row] of this.#resettle(service)) {
        if (!before.has(key)) before.set(key, row);
      }
    }
    return [...before].map(([key, row]) => ({ before: row, after: this.#rows.get(key) }));
  }

  /** How each exporter of a service stands. */
  standings(service: ServiceKey): Map<ClusterName, Standing> {
    const rows = [...(this.#slices.get(service)?.values() ?? [])];
    const since = new Map<ClusterName, bigint>();
    for (const { cluster, entry } of rows) {
      const earliest = since.get(cluster);
      if (earliest === undefined || entry.created < earliest) since.set(cluster, entry.created);
    }
    const [first] = rows;
    if (first?.record.kind !== 'export-slice') return new Map();
    const { namespace, name } = first.record.slice;
    const body = { kind: 'service-ownership', namespace, name, clusters: [] } as const;
    const owned = this.#rows.get(formatIntentKey(intentKey(body)));
    const owners =
      owned?.kind === 'intent' && owned.intent.kind === 'service-ownership'
        ? owned.intent.clusters
        : undefined;
    const exporters = [...since].map(([cluster, revision]) => ({ cluster, since: revision }));
    return standings({ namespace, name }, exporters, owners);
  }

  /** Of what a reader should hold. */
  digestFor(reader: ClusterName): bigint {
    const own = new TableDigest();
    for (const [key, row] of this.#restricted) {
      if (sees(reader, row)) own.toggle(sharedKey(key), row.entry.revision);
    }
    return this.#common.value ^ own.value;
  }

  #read(entry: StoreEntry): Row | undefined {
    try {
      const key = parseKey(entry.key);
      switch (key?.kind) {
        case 'record':
          return {
            ...key,
            record: kept(parseRecord(entry.value, key.cluster)),
            entry,
            audience: 'everyone',
          };
        case 'intent': {
          const intent = parseIntent(entry.value);
          return { kind: 'intent', key: key.intent, intent, entry, audience: 'everyone' };
        }
        case 'private':
          return { kind: 'private', table: key.table, entry, audience: 'nobody' };
        case undefined:
          throw new Error('the key is none of ours');
      }
    } catch (error) {
      this.#unreadable.set(entry.key, entry.revision);
      this.#report(error, entry.key);
      return undefined;
    }
  }

  /** Gives the slices of a service the audience they should have; yields those it changes, as they were. */
  *#resettle(service: ServiceKey): Generator<readonly [key: string, before: Row]> {
    const standing = this.standings(service);
    if ([...standing.values()].some(({ kind }) => kind === 'waiting')) {
      this.#waiting.set(service, standing);
    } else this.#waiting.delete(service);
    for (const [key, row] of [...(this.#slices.get(service) ?? [])]) {
      const audience = audienceOf(row, standing.get(row.cluster));
      if (sameAudience(audience, row.audience)) continue;
      this.#set(key, { ...row, audience });
      yield [key, row];
    }
  }

  #set(key: string, row: Row | undefined): void {
    const old = this.#rows.get(key);
    if (old?.audience === 'everyone') this.#common.toggle(sharedKey(key), old.entry.revision);
    this.#restricted.delete(key);
    if (row === undefined) this.#rows.delete(key);
    else this.#rows.set(key, row);
    if (row?.audience === 'everyone') this.#common.toggle(sharedKey(key), row.entry.revision);
    else if (row !== undefined && row.audience !== 'nobody') this.#restricted.set(key, row);
    const known = row ?? old;
    if (known?.kind === 'private') {
      index(this.#private, known.table, key, row?.kind === 'private' ? row : undefined);
    }
    if (row?.kind === 'intent') this.#intents.set(key, row);
    else this.#intents.delete(key);
    if (known?.kind !== 'record') return;
    const { cluster, record } = known;
    const usage = this.usageOf(cluster);
    this.#usage.set(cluster, usage);
    usage.change(storedAs(old), storedAs(row));
    if (record.kind === 'config') {
      if (row === undefined) this.#configs.delete(cluster);
      else this.#configs.set(cluster, record.config);
    }
    if (record.kind === 'export-slice') {
      index(this.#slices, keyOf(record.slice), key, row?.kind === 'record' ? row : undefined);
    }
  }
}

function storedAs(row: Row | undefined): Stored[] {
  return row?.kind === 'record' ? [{ record: row.record, bytes: row.entry.value.length }] : [];
}

function index<K, R extends Row>(
  map: Map<K, Map<string, R>>,
  group: K,
  key: string,
  row: R | undefined,
): void {
  const rows = map.get(group) ?? new Map<string, R>();
  if (row === undefined) rows.delete(key);
  else rows.set(key, row);
  if (rows.size === 0) map.delete(group);
  else map.set(group, rows);
}

/** The service whose audiences depend on a row. */
function serviceOf(row: Row | undefined): ServiceKey | undefined {
  if (row?.kind === 'record' && row.record.kind === 'export-slice') return keyOf(row.record.slice);
  if (row?.kind === 'intent' && row.intent.kind === 'service-ownership') return keyOf(row.intent);
  return undefined;
}

function audienceOf({ cluster, record }: RecordRow, standing: Standing | undefined): Audience {
  if (record.kind !== 'export-slice') return 'everyone';
  if (standing?.kind !== 'owner') return new Set([cluster]);
  const { exportTo } = record.slice;
  return exportTo === 'all' ? 'everyone' : new Set([cluster, ...exportTo]);
}

function sameAudience(a: Audience, b: Audience): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.size === b.size && [...a].every(cluster => b.has(cluster));
}
