/**
 * Whose turn it is, by weight: over any stretch of turns each has its share of them, spread evenly.
 *
 * Earliest deadline first, as Envoy schedules hosts: each entry is due again 1 / weight after its last
 * turn. A turn is a step down a binary heap and allocates nothing, for it is part of every call.
 */

export class WeightedTurns {
  /** Entries by when they are due, a binary heap; ties go to the lower entry. */
  readonly #heap: Uint32Array;
  readonly #dueAt: Float64Array;
  readonly #interval: Float64Array;

  /**
   * Entries of weight 0 have no turns. `phase`, 0 to 1 for each entry, says how far into its interval it
   * begins: drawn, it keeps callers that start together apart, and shares right however often turns are
   * worked out anew.
   */
  constructor(weights: readonly number[], phase: () => number = () => 0.5) {
    const entries = [...weights.keys()].filter(entry => (weights[entry] ?? 0) > 0);
    this.#heap = Uint32Array.from(entries);
    this.#interval = Float64Array.from(weights, weight => 1 / weight);
    this.#dueAt = this.#interval.map(interval => interval * phase());
    for (let at = (entries.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The place of an entry in the weights; -1 when nobody has one. */
  next(): number {
    if (this.#heap.length === 0) return -1;
    const entry = this.#heap[0] as number;
    this.#dueAt[entry] = (this.#dueAt[entry] as number) + (this.#interval[entry] as number);
    this.#sink(0);
    return entry;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let first = at;
      const left = 2 * at + 1;
      if (left < heap.length && this.#isBefore(left, first)) first = left;
      if (left + 1 < heap.length && this.#isBefore(left + 1, first)) first = left + 1;
      if (first === at) return;
      const entry = heap[at] as number;
      heap[at] = heap[first] as number;
      heap[first] = entry;
      at = first;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#heap[a] as number;
    const right = this.#heap[b] as number;
    const difference = (this.#dueAt[left] as number) - (this.#dueAt[right] as number);
    return difference < 0 || (difference === 0 && left < right);
  }
}
