/**
 * The most recent revisions, bounded, for readers that each stand at a revision of their own.
 *
 * It is every reader's queue at once: a reader costs nothing while it waits, nobody waits for a slow
 * one, and one that has fallen off the end is told so and starts over from a full copy.
 */

import type { StoreEvent } from '../store/store.ts';

export interface HistoryBounds<R> {
  readonly revisionsMax: number;
  readonly bytesMax: number;
  readonly bytesOf: (revision: R) => number;
}

export class ChangeHistory<R extends { readonly revision: bigint }> {
  readonly #bounds: HistoryBounds<R>;
  readonly #revisions: R[] = [];
  readonly #waiting = new Set<() => void>();
  #bytes = 0;
  /** Everything after this revision is held. */
  #floor: bigint;
  #closed = false;

  constructor(floor: bigint, bounds: HistoryBounds<R>) {
    this.#floor = floor;
    this.#bounds = bounds;
  }

  /** The revision last pushed. */
  get latest(): bigint {
    return this.#revisions.at(-1)?.revision ?? this.#floor;
  }

  /** Revisions ascend. */
  push(revision: R): void {
    this.#revisions.push(revision);
    this.#bytes += this.#bounds.bytesOf(revision);
    while (
      this.#revisions.length > this.#bounds.revisionsMax ||
      (this.#bytes > this.#bounds.bytesMax && this.#revisions.length > 1)
    ) {
      const forgotten = this.#revisions.shift();
      if (forgotten === undefined) break;
      this.#bytes -= this.#bounds.bytesOf(forgotten);
      this.#floor = forgotten.revision;
    }
    this.#wake();
  }

  /** What followed a revision, possibly nothing; undefined when part of it is forgotten or unknown. */
  after(revision: bigint): readonly R[] | undefined {
    if (this.#closed || revision < this.#floor || revision > this.latest) return undefined;
    let from = this.#revisions.length;
    while (from > 0 && (this.#revisions[from - 1]?.revision ?? 0n) > revision) from--;
    return this.#revisions.slice(from);
  }

  /** Resolves at the next push, at close, on abort, or after `ms`. */
  changed(signal: AbortSignal, ms?: number): Promise<void> {
    return new Promise(resolve => {
      const timer = ms === undefined ? undefined : setTimeout(() => done(), ms);
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted || this.#closed) done();
    });
  }

  /** Its numbering has ended: from now on every reader is told to start over. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}

export function bytesOf(events: readonly StoreEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    bytes +=
      event.kind === 'put' ? event.entry.key.length + event.entry.value.length : event.key.length;
  }
  return bytes;
}
