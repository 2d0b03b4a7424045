/**
 * The registry's watch stream: WatchResponse messages and the updates they make up.
 *
 * A ReplaceAll arrives in parts and becomes one update once the last part is there. A record that
 * cannot be read (a newer version's, or damaged) is reported and left out, so that one cluster's bad
 * record never hides the others.
 */

import { MeshError } from '../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../mesh/names.ts';
import type * as pb from './generated/isthmus/registry/v1/registry.ts';
import { decodeIntent, decodeIntentKey, type StoredIntent } from './registry-intents.ts';
import {
  decodeRecord,
  decodeRecordId,
  type RecordChange,
  type RegistryUpdate,
  type StoredRecord,
} from './registry-records.ts';

export class UpdateReader {
  readonly #unreadable: (error: unknown) => void;
  #parts: TableParts | undefined;

  constructor(unreadable: (error: unknown) => void) {
    this.#unreadable = unreadable;
  }

  /** Undefined while parts of a ReplaceAll are still to come. Throws PROTOCOL_VIOLATION. */
  read(message: pb.WatchResponse): RegistryUpdate | undefined {
    const position = { storeId: message.storeId, revision: message.revision };
    switch (message.body?.$case) {
      case 'replaceAll': {
        const { records, intents, more } = message.body.value;
        const parts = this.#parts ?? { records: [], intents: [] };
        parts.records.push(...this.#readable(records, decodeStored));
        parts.intents.push(...this.#readable(intents, decodeStoredIntent));
        this.#parts = more ? parts : undefined;
        return more ? undefined : { kind: 'replace-all', position, ...parts };
      }
      case 'changes':
        if (this.#parts !== undefined) {
          throw new MeshError('PROTOCOL_VIOLATION', 'changes arrived inside a ReplaceAll');
        }
        return {
          kind: 'changes',
          position,
          changes: this.#readable(message.body.value.changes, decodeChange),
        };
      case undefined:
        throw new MeshError(
          'PROTOCOL_VIOLATION',
          'watch response has neither ReplaceAll nor Changes',
        );
    }
  }

  #readable<M, T>(messages: readonly M[], decode: (message: M) => T): T[] {
    const decoded: T[] = [];
    for (const message of messages) {
      try {
        decoded.push(decode(message));
      } catch (error) {
        this.#unreadable(error);
      }
    }
    return decoded;
  }
}

interface TableParts {
  readonly records: StoredRecord[];
  readonly intents: StoredIntent[];
}

function decodeStored(stored: pb.StoredRecord): StoredRecord {
  const cluster: ClusterName = parseClusterName(stored.cluster);
  return { cluster, record: decodeRecord(stored.record, cluster), revision: stored.modRevision };
}

function decodeStoredIntent({ intent, modRevision }: pb.StoredIntent): StoredIntent {
  return { intent: decodeIntent(intent), revision: modRevision };
}

function decodeChange({ kind }: pb.Change): RecordChange {
  switch (kind?.$case) {
    case 'put':
      return { kind: 'put', stored: decodeStored(kind.value) };
    case 'deleted': {
      const { cluster, id } = kind.value;
      return { kind: 'delete', cluster: parseClusterName(cluster), id: decodeRecordId(id) };
    }
    case 'putIntent':
      return { kind: 'put-intent', stored: decodeStoredIntent(kind.value) };
    case 'deletedIntent':
      return { kind: 'delete-intent', key: decodeIntentKey(kind.value) };
    case undefined:
      throw new MeshError('REQUEST_INVALID', 'change is neither a put nor a deletion');
  }
}
