/**
 * One subscriber's view of the mirror, as the messages of its stream.
 *
 * A subscriber is a revision and nothing else: what it has not read yet waits in the mirror's history,
 * which is bounded and shared. When it falls off the end of that, it is sent the whole table again. It
 * is sent what it may see: a row that it may see no longer is deleted for it, one that it may see now
 * is new.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type * as pb from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { encodeRecordId, type WatchPosition } from '../../wire/registry-records.ts';
import { sharedKey } from '../keys.ts';
import { REPLACE_ALL_PART_BYTES, RESUME_AHEAD_MS_MAX } from '../limits.ts';
import type { Row } from './table.ts';
import { sees, type TableChange } from './table.ts';
import type { TableMirror, TableRevision } from './table-mirror.ts';

export interface Subscription {
  readonly mirror: TableMirror;
  readonly reader: ClusterName;
  readonly from: WatchPosition | undefined;
  /** How often the reader is told what it should hold; undefined: it does not want to know. */
  readonly heartbeatMs: number | undefined;
  /** It asked to resume, and is sent the whole table instead. */
  readonly onResync: () => void;
}

/**
 * Answers at once, then on every change, until aborted. Throws STORE_UNAVAILABLE before the first
 * snapshot, and when the subscriber has seen more of this store than this process.
 */
export async function* subscribe(
  { mirror, reader, from, heartbeatMs, onResync }: Subscription,
  signal: AbortSignal,
): AsyncGenerator<pb.WatchResponse, void> {
  let at = from;
  let answered = false;
  let toldMs = performance.now();
  let { generation } = mirror;
  if (from !== undefined) await catchUp(mirror, from, signal);
  const stopped = (): boolean => signal.aborted || mirror.stopped;
  while (!stopped()) {
    const storeId = mirror.storeId;
    if (storeId === undefined) {
      throw new MeshError(
        'STORE_UNAVAILABLE',
        `the registry has not read its store yet: ${mirror.outage ?? 'starting'}`,
      );
    }
    const missed: readonly TableRevision[] | undefined =
      at === undefined || generation !== mirror.generation
        ? undefined
        : mirror.after(at.storeId, at.revision);
    if (missed === undefined) {
      if (at !== undefined) onResync();
      at = { storeId, revision: mirror.revision };
      ({ generation } = mirror);
      yield* wholeTable(
        at,
        [...mirror.rows.values()].filter(row => sees(reader, row)),
      );
      answered = true;
      continue;
    }
    let afterRevision = at?.revision ?? 0n;
    for (const [i, { revision, changes }] of missed.entries()) {
      at = { storeId, revision };
      const seen = changes.flatMap(change => changeFor(reader, change));
      // What it may not see needs no message, but its position moves on.
      if (seen.length === 0 && i < missed.length - 1) continue;
      yield { ...at, afterRevision, body: { $case: 'changes', value: { changes: seen } } };
      afterRevision = revision;
      answered = true;
    }
    if (missed.length > 0 || at === undefined) continue;
    if (!answered) {
      yield { ...at, afterRevision, body: { $case: 'changes', value: { changes: [] } } };
      answered = true;
      continue;
    }
    // By the clock and not after quiet: a table that always changes needs it most.
    const dueMs = heartbeatMs === undefined ? undefined : toldMs + heartbeatMs - performance.now();
    if (dueMs === undefined || dueMs > 0) {
      await mirror.changed(signal, dueMs);
      continue;
    }
    const digest = mirror.table.digestFor(reader);
    yield { ...at, afterRevision, body: { $case: 'heartbeat', value: { digest } } };
    toldMs = performance.now();
  }
}

/** Another process may be a moment ahead of this one; one that stays behind has an old store. */
async function catchUp(
  mirror: TableMirror,
  { storeId, revision }: WatchPosition,
  signal: AbortSignal,
): Promise<void> {
  const ahead = (): boolean => storeId === mirror.storeId && revision > mirror.revision;
  const deadline = performance.now() + RESUME_AHEAD_MS_MAX;
  while (ahead() && performance.now() < deadline) {
    if (signal.aborted) return;
    await mirror.changed(signal, deadline - performance.now());
  }
  if (!ahead()) return;
  throw new MeshError(
    'STORE_UNAVAILABLE',
    `this registry has seen revision ${mirror.revision}, the caller ${revision}; was the store restored from a backup? If its content is to be used from now on, run: isthmus unfreeze`,
  );
}

function* wholeTable(at: WatchPosition, rows: readonly Row[]): Generator<pb.WatchResponse> {
  let part: pb.ReplaceAll = { records: [], intents: [], more: true };
  let bytes = 0;
  for (const row of rows) {
    bytes += row.entry.value.length;
    if (bytes > REPLACE_ALL_PART_BYTES && part.records.length + part.intents.length > 0) {
      yield { ...at, afterRevision: 0n, body: { $case: 'replaceAll', value: part } };
      part = { records: [], intents: [], more: true };
      bytes = row.entry.value.length;
    }
    const stored = storedOf(row);
    if (stored.$case === 'put') part.records.push(stored.value);
    else part.intents.push(stored.value);
  }
  yield {
    ...at,
    afterRevision: 0n,
    body: { $case: 'replaceAll', value: { ...part, more: false } },
  };
}

/** None or one. */
function changeFor(reader: ClusterName, { before, after }: TableChange): pb.Change[] {
  const saw = sees(reader, before);
  if (sees(reader, after)) {
    const same = saw && before.entry.revision === after.entry.revision;
    return same ? [] : [{ kind: storedOf(after) }];
  }
  return saw ? [{ kind: deletedOf(before) }] : [];
}

type Stored = Extract<pb.Change['kind'], { readonly $case: 'put' | 'putIntent' }>;

/** The bytes are passed on as they are, with whatever only newer versions can read of them. */
function storedOf(row: Row): Stored {
  const { key, value, revision: modRevision } = row.entry;
  const known = { modRevision, key: sharedKey(key) };
  const bytes = Buffer.from(value);
  switch (row.kind) {
    case 'record':
      return { $case: 'put', value: { cluster: row.cluster, record: bytes, ...known } };
    case 'intent':
      return { $case: 'putIntent', value: { intent: bytes, ...known } };
    case 'private':
      throw new Error(`"${key}" is for registry processes alone`);
  }
}

function deletedOf(row: Row): NonNullable<pb.Change['kind']> {
  switch (row.kind) {
    case 'record': {
      const { cluster, id, entry } = row;
      const value = { cluster, id: encodeRecordId(id), key: sharedKey(entry.key) };
      return { $case: 'deleted', value };
    }
    case 'intent':
      return { $case: 'deletedIntent', value: row.key };
    case 'private':
      throw new Error(`"${row.entry.key}" is for registry processes alone`);
  }
}
