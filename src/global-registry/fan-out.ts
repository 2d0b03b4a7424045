/**
 * One subscriber's view of the mirror, as the messages of its stream.
 *
 * A subscriber is a revision and nothing else: what it has not read yet waits in the mirror's history,
 * which is bounded and shared. When it falls off the end of that, it is sent the whole table again.
 */

import { MeshError } from '../mesh/errors.ts';
import * as pb from '../wire/generated/isthmus/registry/v1/registry.ts';
import { encodeRecordId, type WatchPosition } from '../wire/registry-records.ts';
import { parseKey, type RecordKey } from './keys.ts';
import { REPLACE_ALL_PART_BYTES } from './limits.ts';
import type { Revision, StoreEntry } from './store.ts';
import type { TableMirror } from './table-mirror.ts';

/** Answers at once, then on every change, until aborted. Throws STORE_UNAVAILABLE before the first snapshot. */
export async function* subscribe(
  mirror: TableMirror,
  from: WatchPosition | undefined,
  signal: AbortSignal,
  resynced: () => void,
): AsyncGenerator<pb.WatchResponse, void> {
  let at = from;
  let answered = false;
  while (!signal.aborted && !mirror.stopped) {
    const storeId = mirror.storeId;
    if (storeId === undefined) {
      throw new MeshError(
        'STORE_UNAVAILABLE',
        `the registry has not read its store yet: ${mirror.outage ?? 'starting'}`,
      );
    }
    const missed = at === undefined ? undefined : mirror.after(at.storeId, at.revision);
    if (missed === undefined) {
      if (at !== undefined) resynced();
      at = { storeId, revision: mirror.revision };
      yield* wholeTable(
        at,
        [...mirror.rows.values()].map(({ entry }) => entry),
      );
    } else if (missed.length > 0) {
      for (const revision of missed) {
        at = { storeId, revision: revision.revision };
        yield { ...at, body: { $case: 'changes', value: { changes: changesOf(revision) } } };
      }
    } else if (!answered && at !== undefined) {
      yield { ...at, body: { $case: 'changes', value: { changes: [] } } };
    } else {
      await mirror.changed(signal);
    }
    answered = true;
  }
}

function* wholeTable(
  at: WatchPosition,
  entries: readonly StoreEntry[],
): Generator<pb.WatchResponse> {
  let records: pb.StoredRecord[] = [];
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry.value.length;
    if (records.length > 0 && bytes > REPLACE_ALL_PART_BYTES) {
      yield { ...at, body: { $case: 'replaceAll', value: { records, more: true } } };
      records = [];
      bytes = entry.value.length;
    }
    records.push(storedOf(entry));
  }
  yield { ...at, body: { $case: 'replaceAll', value: { records, more: false } } };
}

function changesOf({ events }: Revision): pb.Change[] {
  return events.map(event => {
    if (event.kind === 'put') return { kind: { $case: 'put', value: storedOf(event.entry) } };
    const { cluster, id } = keyOf(event.key);
    return { kind: { $case: 'deleted', value: { cluster, id: encodeRecordId(id) } } };
  });
}

/** The mirror has read the record already; its bytes are passed on as they are. */
function storedOf({ key, value, revision }: StoreEntry): pb.StoredRecord {
  const { cluster } = keyOf(key);
  return { cluster, record: pb.Record.decode(value), modRevision: revision };
}

function keyOf(key: string): RecordKey {
  const parsed = parseKey(key);
  if (parsed === undefined) throw new Error(`the mirror let through the key "${key}"`);
  return parsed;
}
