/**
 * Least request by the power of two choices (Mitzenmacher): of two endpoints drawn by weight, the one with
 * fewer requests in flight for its weight. Near to the true least without looking at all of them, and
 * callers that know nothing of each other do not all pick the same one.
 *
 * A level of priority is chosen first, by turns: what spills must not depend on who is busy.
 */

import type { Standing } from './spread.ts';
import { WeightedTurns } from './weighted-turns.ts';

export interface InFlight {
  readonly inFlight: number;
}

export class LeastRequest {
  readonly #members: readonly InFlight[];
  readonly #shares: readonly number[];
  readonly #random: () => number;
  readonly #levels: readonly Draw[];
  readonly #turns: WeightedTurns;

  /** `members` are read at each choice; `shares` as from `spreadOver`, in the same order. */
  constructor(
    members: readonly InFlight[],
    priorities: readonly Pick<Standing, 'priority'>[],
    shares: readonly number[],
    random: () => number,
  ) {
    this.#members = members;
    this.#shares = shares;
    this.#random = random;
    const levels = new Map<number, number[]>();
    for (const [at, { priority }] of priorities.entries()) {
      if ((shares[at] ?? 0) > 0) levels.set(priority, [...(levels.get(priority) ?? []), at]);
    }
    this.#levels = [...levels.values()].map(entries => new Draw(entries, shares));
    this.#turns = new WeightedTurns(
      this.#levels.map(level => level.total),
      random,
    );
  }

  /** The place of a member; -1 when nobody has a share. */
  next(): number {
    const level = this.#levels[this.#turns.next()];
    if (level === undefined) return -1;
    const one = level.at(this.#random());
    const other = level.at(this.#random());
    return this.#loadOf(other) < this.#loadOf(one) ? other : one;
  }

  #loadOf(member: number): number {
    return ((this.#members[member]?.inFlight ?? 0) + 1) / (this.#shares[member] ?? 1);
  }
}

/** Entries by cumulated weight. */
class Draw {
  readonly #entries: Uint32Array;
  readonly #upTo: Float64Array;
  readonly total: number;

  constructor(entries: readonly number[], weights: readonly number[]) {
    let total = 0;
    this.#entries = Uint32Array.from(entries);
    this.#upTo = Float64Array.from(entries, entry => (total += weights[entry] ?? 0));
    this.total = total;
  }

  at(random: number): number {
    const upTo = this.#upTo;
    const point = random * this.total;
    let low = 0;
    let high = upTo.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] as number) > point) high = middle;
      else low = middle + 1;
    }
    return this.#entries[low] as number;
  }
}
