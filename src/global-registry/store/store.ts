/**
 * The port to where the ClusterSet's shared table is kept. Two implementations (etcd-store.ts,
 * embedded-store.ts) pass one contract suite, test/global-registry/store-contract.ts, whose tests carry
 * the names below.
 *
 * - durable: what `commit` and `grantLease` acknowledged survives a crash of the process.
 * - dense: every revision after the first has an event; a watch of everything ("") sees all of them.
 * - atomic: a commit happens whole, at one revision, or not at all; readers never see part of one.
 * - conditional: a commit with expectations happens only if all of them hold at its revision.
 * - ordered: a watch yields revisions in ascending order.
 * - unique: a watch yields each revision at most once.
 * - reliable: a watch leaves no revision out; when it cannot promise that it throws REVISION_COMPACTED.
 * - resumable: a watch from the last revision seen continues as if it had never broken.
 * - leased: a key put with a lease goes when the lease does, and only such keys go.
 *
 * A commit that fails with STORE_UNAVAILABLE may or may not have happened, now or later. With expectations
 * about the keys it writes it can never undo a newer one, so whoever repeats it states them.
 */

export interface RegistryStore {
  readonly kind: 'embedded' | 'etcd';
  /** `ttlMs` may be rounded; the lease returned says what was granted. */
  grantLease(ttlMs: number): Promise<StoreLease>;
  /** A full TTL from now on. Throws LEASE_NOT_FOUND once it has expired. */
  keepAlive(leaseId: string): Promise<StoreLease>;
  /**
   * Each key at most once. Deleting a key that is not there is no error. Throws LEASE_NOT_FOUND, and
   * REVISION_CONFLICT when an expectation does not hold.
   */
  commit(commit: Commit): Promise<bigint>;
  snapshot(prefix: string): Promise<Snapshot>;
  /** The same without the values: what there is, and how new it is. */
  index(prefix: string): Promise<Index>;
  /**
   * Everything under the prefix that happened after the revision, then what happens. Ends on abort.
   * Throws STORE_UNAVAILABLE when the connection is lost and REVISION_COMPACTED when the history is.
   */
  watch(prefix: string, afterRevision: bigint, signal: AbortSignal): AsyncIterable<Revision>;
  close(): Promise<void>;
}

export interface StoreLease {
  readonly leaseId: string;
  readonly ttlMs: number;
}

export interface Commit {
  readonly puts: readonly Put[];
  readonly deletes: readonly string[];
  readonly expect?: readonly Expectation[];
}

export interface Expectation {
  readonly key: string;
  /** Of the key's last put; 0n: the key is not there. */
  readonly revision: bigint;
}

export interface Put {
  readonly key: string;
  readonly value: Uint8Array;
  readonly leaseId?: string;
}

export interface StoreEntry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Of the last put. */
  readonly revision: bigint;
  /** Of the first put since the key was last not there. */
  readonly created: bigint;
  readonly leaseId: string | undefined;
}

/** Where a store stands. */
export interface StorePosition {
  /** Identity of the key space: a revision means nothing in another one. */
  readonly storeId: string;
  /** Counts the leaders that etcd has had; neither it nor the revision goes back while a store lives. */
  readonly term: bigint;
  readonly revision: bigint;
}

export interface Snapshot extends StorePosition {
  readonly entries: readonly StoreEntry[];
}

export interface Index extends StorePosition {
  /** Of each key's last put. */
  readonly revisions: ReadonlyMap<string, bigint>;
}

/** What one revision changed. */
export interface Revision {
  readonly revision: bigint;
  readonly events: readonly StoreEvent[];
}

export type StoreEvent =
  | { readonly kind: 'put'; readonly entry: StoreEntry }
  | { readonly kind: 'delete'; readonly key: string };
