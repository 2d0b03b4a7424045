/**
 * A token bucket for what a peer may do only so often. Starts full; an honest peer never empties it.
 */

export class Budget {
  readonly #burst: number;
  readonly #perMs: number;
  readonly #now: () => number;
  #tokens: number;
  #filledMs: number;

  constructor(burst: number, perSecond: number, now: () => number) {
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#now = now;
    this.#tokens = burst;
    this.#filledMs = now();
  }

  /** False when nothing is left. */
  take(cost: number): boolean {
    if (this.#tokens < cost) this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  earn(tokens: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + tokens);
  }

  /** Only when short, so that a frame costs no look at the clock. */
  #refill(): void {
    const now = this.#now();
    // A clock that was set back gives nothing and takes nothing.
    this.earn(Math.max(0, now - this.#filledMs) * this.#perMs);
    this.#filledMs = now;
  }
}
