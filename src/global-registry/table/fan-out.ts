/**
 * One subscriber's view of the mirror, as the encoded messages of its stream.
 *
 * A subscriber is a revision and nothing else: what it has not read yet waits in the mirror's history,
 * which is bounded and shared. When it falls off the end of that, it is sent the whole table again. It
 * is sent what it may see: a row that it may see no longer is deleted for it, one that it may see now
 * is new.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { WatchPosition } from '../../wire/registry-records.ts';
import { RESUME_AHEAD_MS_MAX } from '../limits.ts';
import type { TableMirror, TableRevision } from './table-mirror.ts';
import type { WatchMessages } from './watch-messages.ts';

export interface Subscription {
  readonly mirror: TableMirror;
  readonly messages: WatchMessages;
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
  { mirror, messages, reader, from, heartbeatMs, onResync }: Subscription,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
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
    if (at === undefined || missed === undefined) {
      if (at !== undefined) onResync();
      at = { storeId, revision: mirror.revision };
      ({ generation } = mirror);
      yield* messages.replaceAll(reader, at, mirror.rows.values());
      answered = true;
      continue;
    }
    const last = missed.at(-1);
    if (last !== undefined || !answered) {
      yield* messages.changes(reader, at, missed);
      at = { storeId, revision: last?.revision ?? at.revision };
      answered = true;
      continue;
    }
    // By the clock and not after quiet: a table that always changes needs it most.
    const dueMs = heartbeatMs === undefined ? undefined : toldMs + heartbeatMs - performance.now();
    if (dueMs === undefined || dueMs > 0) {
      await mirror.changed(signal, dueMs);
      continue;
    }
    yield messages.heartbeat(at, mirror.table.digestFor(reader));
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
