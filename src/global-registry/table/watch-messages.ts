/**
 * The messages of watch streams, as bytes.
 *
 * Most of the table is for everyone: a message that reads the same for every reader is encoded once and
 * the same bytes go to all of them. Only what some may not see is put together for each reader.
 */

import type { ClusterName } from '../../mesh/names.ts';
import * as pb from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { encodeRecordId, type WatchPosition } from '../../wire/registry-records.ts';
import { sharedKey } from '../keys.ts';
import { REPLACE_ALL_PART_BYTES } from '../limits.ts';
import { type Row, sees, type TableChange } from './table.ts';
import type { TableRevision } from './table-mirror.ts';

export class WatchMessages {
  /** Readers are told in turn, and most of them stand at the same revision: what the last one was sent. */
  #latest: CommonMessage | undefined;

  /** What followed `from`, in as few messages as fit; one for a reader that has missed nothing. */
  *changes(
    reader: ClusterName,
    from: WatchPosition,
    missed: readonly TableRevision[],
  ): Generator<Uint8Array> {
    const { storeId } = from;
    let afterRevision = from.revision;
    for (const part of parts(missed)) {
      const last = part.at(-1);
      const revision = last?.revision ?? afterRevision;
      const encode = (): Uint8Array => {
        const seen = part
          .flatMap(({ changes }) => changes)
          .flatMap(each => changeFor(reader, each));
        const body = { $case: 'changes', value: { changes: seen } } as const;
        return encoded({ storeId, revision, afterRevision, body });
      };
      if (last !== undefined && part.every(isForAll)) {
        const known = this.#latest;
        const same = known?.last === last && known.afterRevision === afterRevision;
        const message = same ? known : { last, afterRevision, bytes: encode() };
        this.#latest = message;
        yield message.bytes;
      } else yield encode();
      afterRevision = revision;
    }
  }

  /** The whole table, as a reader sees it. */
  *replaceAll(reader: ClusterName, at: WatchPosition, rows: Iterable<Row>): Generator<Uint8Array> {
    let part: pb.ReplaceAll = { records: [], intents: [], more: true };
    let bytes = 0;
    for (const row of [...rows].filter(each => sees(reader, each))) {
      bytes += row.entry.value.length;
      if (bytes > REPLACE_ALL_PART_BYTES && part.records.length + part.intents.length > 0) {
        yield encoded({ ...at, afterRevision: 0n, body: { $case: 'replaceAll', value: part } });
        part = { records: [], intents: [], more: true };
        bytes = row.entry.value.length;
      }
      const stored = storedOf(row);
      if (stored.$case === 'put') part.records.push(stored.value);
      else part.intents.push(stored.value);
    }
    const value = { ...part, more: false };
    yield encoded({ ...at, afterRevision: 0n, body: { $case: 'replaceAll', value } });
  }

  heartbeat(at: WatchPosition, digest: bigint): Uint8Array {
    const body = { $case: 'heartbeat', value: { digest } } as const;
    return encoded({ ...at, afterRevision: at.revision, body });
  }
}

interface CommonMessage {
  readonly last: TableRevision;
  readonly afterRevision: bigint;
  readonly bytes: Uint8Array;
}

function encoded(message: pb.WatchResponse): Uint8Array {
  return pb.WatchResponse.encode(message).finish();
}

/** At least one, as an answer to a reader that has missed nothing. */
function parts(revisions: readonly TableRevision[]): TableRevision[][] {
  const found: TableRevision[][] = [];
  let part: TableRevision[] = [];
  let bytes = 0;
  for (const revision of revisions) {
    bytes += revision.bytes;
    if (part.length > 0 && bytes > REPLACE_ALL_PART_BYTES) {
      found.push(part);
      part = [];
      ({ bytes } = revision);
    }
    part.push(revision);
  }
  return [...found, part];
}

/** Whether every reader sees the same of it. */
function isForAll({ changes }: TableRevision): boolean {
  return changes.every(({ before, after }) =>
    [before, after].every(row => row === undefined || typeof row.audience === 'string'),
  );
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
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
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
