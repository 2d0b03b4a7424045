/**
 * One subscriber's view of the mirror, as the messages of its stream.
 *
 * A subscriber is a revision and nothing else: what it has not read yet waits in the mirror's history,
 * which is bounded and shared. When it falls off the end of that, it is sent the whole table again.
 */

import { MeshError } from '../mesh/errors.ts';
import * as pb from '../wire/generated/isthmus/registry/v1/registry.ts';
import { encodeRecordId, type WatchPosition } from '../wire/registry-records.ts';
import { parseKey, type TableKey } from './keys.ts';
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
  let part: pb.ReplaceAll = { records: [], intents: [], more: true };
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry.value.length;
    if (bytes > REPLACE_ALL_PART_BYTES && part.records.length + part.intents.length > 0) {
      yield { ...at, body: { $case: 'replaceAll', value: part } };
      part = { records: [], intents: [], more: true };
      bytes = entry.value.length;
    }
    const stored = storedOf(entry);
    if (stored.$case === 'put') part.records.push(stored.value);
    else part.intents.push(stored.value);
  }
  yield { ...at, body: { $case: 'replaceAll', value: { ...part, more: false } } };
}

function changesOf({ events }: Revision): pb.Change[] {
  return events.map(event => {
    if (event.kind === 'put') return { kind: storedOf(event.entry) };
    const key = keyOf(event.key);
    if (key.kind === 'intent') return { kind: { $case: 'deletedIntent', value: key.intent } };
    const value = { cluster: key.cluster, id: encodeRecordId(key.id) };
    return { kind: { $case: 'deleted', value } };
  });
}

/** The mirror has read the record already; its bytes are passed on as they are. */
function storedOf({ key, value, revision: modRevision }: StoreEntry): Stored {
  const parsed = keyOf(key);
  if (parsed.kind === 'intent') {
    return { $case: 'putIntent', value: { intent: pb.Intent.decode(value), modRevision } };
  }
  const record = pb.Record.decode(value);
  return { $case: 'put', value: { cluster: parsed.cluster, record, modRevision } };
}

type Stored = Extract<pb.Change['kind'], { readonly $case: 'put' | 'putIntent' }>;

function keyOf(key: string): TableKey {
  const parsed = parseKey(key);
  if (parsed === undefined) throw new Error(`the mirror let through the key "${key}"`);
  return parsed;
}
