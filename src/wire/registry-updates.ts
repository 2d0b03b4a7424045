/**
 * The registry's watch stream: WatchResponse messages and the updates they make up.
 *
 * A ReplaceAll arrives in parts and becomes one update once the last part is there. A record that
 * cannot be read (a newer version's, or damaged) is reported and left out, so that one cluster's bad
 * record never hides the others; it still counts in the digest of a heartbeat, so the reader remembers
 * which it left out and hands on the digest of the rest.
 */

import { MeshError } from '../mesh/errors.ts';
import { intentKey } from '../mesh/intent.ts';
import { type ClusterName, parseClusterName } from '../mesh/names.ts';
import type * as pb from './generated/isthmus/registry/v1/registry.ts';
import { decodeIntentKey, parseIntent, type StoredIntent } from './registry-intents.ts';
import {
  decodeRecordId,
  idOf,
  parseRecord,
  type RecordChange,
  type RegistryUpdate,
  type StoredRecord,
  tableKey,
} from './registry-records.ts';
import { TableDigest } from './table-digest.ts';

export class UpdateReader {
  readonly #report: (error: unknown) => void;
  /** The revisions of records left out, by their keys in the table. */
  readonly #unreadable = new Map<string, bigint>();
  #parts: TableParts | undefined;

  constructor(unreadable: (error: unknown) => void) {
    this.#report = unreadable;
  }

  /** A new stream: parts of a table that the old one did not finish are void. */
  restart(): void {
    this.#parts = undefined;
  }

  /** Undefined while parts of a ReplaceAll are still to come. Throws PROTOCOL_VIOLATION. */
  read(message: pb.WatchResponse): RegistryUpdate | undefined {
    const position = { storeId: message.storeId, revision: message.revision };
    switch (message.body?.$case) {
      case 'replaceAll': {
        const { records, intents, more } = message.body.value;
        if (this.#parts === undefined) this.#unreadable.clear();
        const parts = this.#parts ?? { records: [], intents: [] };
        for (const stored of records) this.#read(parts.records, stored, () => decodeStored(stored));
        for (const stored of intents) {
          this.#read(parts.intents, stored, () => decodeStoredIntent(stored));
        }
        this.#parts = more ? parts : undefined;
        return more ? undefined : { kind: 'replace-all', position, ...parts };
      }
      case 'changes': {
        this.#requireWhole('changes');
        const changes: RecordChange[] = [];
        for (const { kind } of message.body.value.changes) this.#readChange(changes, kind);
        return { kind: 'changes', position, changes };
      }
      case 'heartbeat': {
        this.#requireWhole('a heartbeat');
        return { kind: 'heartbeat', position, digest: this.#readable(message.body.value.digest) };
      }
      case undefined:
        throw new MeshError(
          'PROTOCOL_VIOLATION',
          'watch response has neither ReplaceAll nor Changes nor Heartbeat',
        );
    }
  }

  #requireWhole(what: string): void {
    if (this.#parts === undefined) return;
    throw new MeshError('PROTOCOL_VIOLATION', `${what} arrived inside a ReplaceAll`);
  }

  #readChange(changes: RecordChange[], kind: pb.Change['kind']): void {
    const deletedKey =
      kind?.$case === 'deleted'
        ? kind.value.key
        : kind?.$case === 'deletedIntent'
          ? `intents/${kind.value}`
          : undefined;
    // What was left out when it came needs no deletion.
    if (deletedKey !== undefined && this.#unreadable.delete(deletedKey)) return;
    const put = kind?.$case === 'put' || kind?.$case === 'putIntent' ? kind.value : undefined;
    this.#read(changes, put, () => decodeChange(kind));
  }

  #read<T>(
    into: T[],
    stored: { readonly key: string; readonly modRevision: bigint } | undefined,
    decode: () => T,
  ): void {
    try {
      into.push(decode());
      if (stored !== undefined) this.#unreadable.delete(stored.key);
    } catch (error) {
      if (stored !== undefined) this.#unreadable.set(stored.key, stored.modRevision);
      this.#report(error);
    }
  }

  /** The digest without the records that were left out. */
  #readable(digest: bigint): bigint {
    const left = new TableDigest();
    for (const [key, revision] of this.#unreadable) left.toggle(key, revision);
    return digest ^ left.value;
  }
}

interface TableParts {
  readonly records: StoredRecord[];
  readonly intents: StoredIntent[];
}

function decodeChange(kind: pb.Change['kind']): RecordChange {
  switch (kind?.$case) {
    case 'put':
      return { kind: 'put', stored: decodeStored(kind.value) };
    case 'putIntent':
      return { kind: 'put-intent', stored: decodeStoredIntent(kind.value) };
    case 'deleted': {
      const { cluster, id } = kind.value;
      return { kind: 'delete', cluster: parseClusterName(cluster), id: decodeRecordId(id) };
    }
    case 'deletedIntent':
      return { kind: 'delete-intent', key: decodeIntentKey(kind.value) };
    case undefined:
      throw new MeshError('REQUEST_INVALID', 'change is neither a put nor a deletion');
  }
}

function decodeStored(stored: pb.StoredRecord): StoredRecord {
  const cluster: ClusterName = parseClusterName(stored.cluster);
  return { cluster, record: parseRecord(stored.record, cluster), revision: stored.modRevision };
}

function decodeStoredIntent({ intent, modRevision }: pb.StoredIntent): StoredIntent {
  return { intent: parseIntent(intent), revision: modRevision };
}

/** Of everything a reader holds. */
export function digestOf(records: Iterable<StoredRecord>, intents: Iterable<StoredIntent>): bigint {
  const digest = new TableDigest();
  for (const { cluster, record, revision } of records) {
    digest.toggle(tableKey(cluster, idOf(record)), revision);
  }
  for (const { intent, revision } of intents) {
    digest.toggle(`intents/${intentKey(intent)}`, revision);
  }
  return digest.value;
}
