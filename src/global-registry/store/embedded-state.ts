/**
 * What the embedded store holds, as a pure state machine: records in, changes out.
 *
 * The same records go to the journal, so replaying them gives the same state. Replaying a record that
 * the state already contains changes nothing: a snapshot and the journals around it may overlap.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { Commit, Revision, StoreEntry, StoreEvent } from './store.ts';

/** Survives JSON: revisions are decimal, values base64. */
export type StateRecord =
  | { readonly kind: 'created'; readonly storeId: string }
  | { readonly kind: 'granted'; readonly leaseId: string; readonly ttlMs: number }
  | { readonly kind: 'expired'; readonly leaseId: string; readonly revision: string }
  | {
      readonly kind: 'committed';
      readonly revision: string;
      readonly puts: readonly (readonly [key: string, value: string, leaseId: string | null])[];
      readonly deletes: readonly string[];
    };

export interface StateImage {
  readonly storeId: string;
  readonly revision: string;
  readonly leases: readonly (readonly [leaseId: string, ttlMs: number])[];
  readonly entries: readonly (readonly [
    key: string,
    value: string,
    revision: string,
    leaseId: string | null,
    /** Absent in what earlier versions wrote. */
    created?: string,
  ])[];
}

export class EmbeddedState {
  storeId = '';
  revision = 0n;
  readonly leases = new Map<string, number>();
  readonly entries = new Map<string, StoreEntry>();

  /** The record of a commit at the next revision, or undefined when it would change nothing. */
  plan(commit: Commit): StateRecord | undefined {
    for (const { key, revision } of commit.expect ?? []) {
      const found = this.entries.get(key)?.revision ?? 0n;
      if (found !== revision) throw revisionConflict(key, revision, found);
    }
    for (const { key, leaseId } of commit.puts) {
      if (leaseId !== undefined && !this.leases.has(leaseId)) {
        throw new MeshError('LEASE_NOT_FOUND', `lease "${leaseId}" of "${key}" does not exist`);
      }
    }
    const deletes = commit.deletes.filter(key => this.entries.has(key));
    if (commit.puts.length + deletes.length === 0) return undefined;
    return {
      kind: 'committed',
      revision: String(this.revision + 1n),
      puts: commit.puts.map(({ key, value, leaseId }) => [
        key,
        Buffer.from(value).toString('base64'),
        leaseId ?? null,
      ]),
      deletes,
    };
  }

  /** The record of a lease's end; it takes a revision only if it takes keys along. */
  planExpiry(leaseId: string): StateRecord {
    const keys = this.#keysOf(leaseId).length;
    return { kind: 'expired', leaseId, revision: String(this.revision + (keys > 0 ? 1n : 0n)) };
  }

  /** What the record changed in the table, if anything. */
  apply(record: StateRecord): Revision | undefined {
    switch (record.kind) {
      case 'created':
        this.storeId = record.storeId;
        return undefined;
      case 'granted':
        this.leases.set(record.leaseId, record.ttlMs);
        return undefined;
      case 'expired': {
        this.leases.delete(record.leaseId);
        return this.#change(record.revision, [], this.#keysOf(record.leaseId));
      }
      case 'committed':
        return this.#change(record.revision, record.puts, record.deletes);
    }
  }

  image(): StateImage {
    return {
      storeId: this.storeId,
      revision: String(this.revision),
      leases: [...this.leases],
      entries: [...this.entries.values()].map(({ key, value, revision, leaseId, created }) => [
        key,
        Buffer.from(value).toString('base64'),
        String(revision),
        leaseId ?? null,
        String(created),
      ]),
    };
  }

  load(image: StateImage): void {
    this.storeId = image.storeId;
    this.revision = BigInt(image.revision);
    for (const [leaseId, ttlMs] of image.leases) this.leases.set(leaseId, ttlMs);
    for (const [key, value, revision, leaseId, created] of image.entries) {
      const bytes = Buffer.from(value, 'base64');
      this.entries.set(key, {
        key,
        value: bytes,
        revision: BigInt(revision),
        created: BigInt(created ?? revision),
        leaseId: leaseId ?? undefined,
      });
    }
  }

  #change(
    at: string,
    puts: readonly (readonly [string, string, string | null])[],
    deletes: readonly string[],
  ): Revision | undefined {
    const revision = BigInt(at);
    if (revision <= this.revision) return undefined;
    this.revision = revision;
    const events: StoreEvent[] = [];
    for (const [key, value, leaseId] of puts) {
      const bytes = Buffer.from(value, 'base64');
      const created = this.entries.get(key)?.created ?? revision;
      const entry = { key, value: bytes, revision, created, leaseId: leaseId ?? undefined };
      this.entries.set(key, entry);
      events.push({ kind: 'put', entry });
    }
    for (const key of deletes) {
      this.entries.delete(key);
      events.push({ kind: 'delete', key });
    }
    return { revision, events };
  }

  #keysOf(leaseId: string): string[] {
    return [...this.entries.values()].filter(e => e.leaseId === leaseId).map(({ key }) => key);
  }
}

function revisionConflict(key: string, expected: bigint, found: bigint): MeshError {
  const was = expected === 0n ? 'not to exist' : `to be of revision ${expected}`;
  const is = found === 0n ? 'does not exist' : `is of revision ${found}`;
  return new MeshError(
    'REVISION_CONFLICT',
    `"${key}" was expected ${was} and ${is}; read it again and decide anew`,
  );
}
