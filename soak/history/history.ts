/**
 * What was written to the registry and what each importer saw, as plain data.
 *
 * A key stands for one record, a token for one value ever written to it. Revisions are the store's.
 */

export interface Write {
  readonly key: string;
  /** Undefined: the record was deleted. Otherwise never written before, to any key. */
  readonly token: string | undefined;
  readonly startMs: number;
  /** Of the commit; undefined when its answer was lost, so that it may have happened, even late. */
  readonly revision: bigint | undefined;
}

/** What an importer believed after one update it accepted, as the difference from the one before. */
export interface Sight {
  readonly atMs: number;
  /** Where it said it stood. */
  readonly revision: bigint;
  readonly changes: readonly Seen[];
}

export interface Seen {
  readonly key: string;
  /** Undefined: gone. */
  readonly value: { readonly token: string; readonly revision: bigint } | undefined;
}

/** One update as it was handed to the importer, before it judged it. */
export interface Delivery {
  /** Counts the importer's streams. */
  readonly stream: number;
  /** Where this stream was asked to resume. */
  readonly after: bigint;
  readonly kind: 'replace-all' | 'changes';
  readonly revision: bigint;
  readonly changes: number;
}

export interface ImporterHistory {
  readonly name: string;
  readonly sights: readonly Sight[];
  readonly deliveries: readonly Delivery[];
}

export interface History {
  readonly writes: readonly Write[];
  readonly importers: readonly ImporterHistory[];
}

/** etcd's names for what a watch promises, and the two that a table adds. */
export type Guarantee =
  /** Revisions only ascend. */
  | 'ordered'
  /** A revision is delivered once. */
  | 'unique'
  /** At a revision, everything up to it has been seen. */
  | 'reliable'
  /** A stream continues after the revision it was asked to resume from. */
  | 'resumable'
  /** What is seen was written, there, before. */
  | 'nothing phantom'
  /** In the end everybody holds what was written last. */
  | 'converged';

export interface Anomaly {
  readonly guarantee: Guarantee;
  readonly importer: string;
  readonly key?: string;
  readonly message: string;
}
