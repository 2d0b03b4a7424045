/**
 * How many calls of an upstream may be sent a second time: a fifth of them and ten a second, counted over
 * the last ten seconds (Finagle's and Linkerd's budget). Beyond it a failure is the caller's to see:
 * retries that grow with the failures are what keeps an overloaded service down.
 *
 * What provably reached no application is not counted: no application has the work twice.
 */

/** Of the calls in the window. */
const RETRY_SHARE = 0.2;
const RETRIES_PER_SECOND = 10;
const WINDOW_SECONDS = 10;

export class RetryBudget {
  /** By second; the slot of this one is `#second % 10`. */
  readonly #calls = new Uint32Array(WINDOW_SECONDS);
  readonly #retries = new Uint32Array(WINDOW_SECONDS);
  #second: number;

  constructor(nowMs: number) {
    this.#second = Math.floor(nowMs / 1000);
  }

  /** One call. Costs an addition; which second it is in, `advance` says. */
  countCall(): void {
    const slot = this.#second % WINDOW_SECONDS;
    this.#calls[slot] = (this.#calls[slot] as number) + 1;
  }

  /** True: one retry may be made, and has been counted. */
  take(nowMs: number): boolean {
    this.advance(nowMs);
    if (total(this.#retries) + 1 > RETRY_SHARE * total(this.#calls) + RESERVE) return false;
    const slot = this.#second % WINDOW_SECONDS;
    this.#retries[slot] = (this.#retries[slot] as number) + 1;
    return true;
  }

  /** Once a second or more often. A clock that went back changes nothing until it has caught up. */
  advance(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second - this.#second > WINDOW_SECONDS) this.#second = second - WINDOW_SECONDS;
    while (this.#second < second) {
      this.#second++;
      this.#calls[this.#second % WINDOW_SECONDS] = 0;
      this.#retries[this.#second % WINDOW_SECONDS] = 0;
    }
  }
}

const RESERVE = RETRIES_PER_SECOND * WINDOW_SECONDS;

function total(slots: Uint32Array): number {
  let sum = 0;
  for (const each of slots) sum += each;
  return sum;
}
