/**
 * One wait of a fixed length for many things, with one timer: thousands of connections that come and go
 * each second would otherwise each start and stop one.
 */

export class Deadlines<T> {
  readonly #waitMs: number;
  readonly #now: () => number;
  readonly #onDue: (item: T) => void;
  /** When each is due, the earliest first: all wait equally long. */
  readonly #dueMs = new Map<T, number>();
  #timer: NodeJS.Timeout | undefined;

  /** `now` must not jump, like performance.now(). */
  constructor(waitMs: number, now: () => number, onDue: (item: T) => void) {
    this.#waitMs = waitMs;
    this.#now = now;
    this.#onDue = onDue;
  }

  /** Something that does not wait yet. */
  add(item: T): void {
    this.#dueMs.set(item, this.#now() + this.#waitMs);
    this.#timer ??= setTimeout(this.#sweep, this.#waitMs);
  }

  delete(item: T): void {
    this.#dueMs.delete(item);
  }

  /** Forgets everything. */
  clear(): void {
    this.#dueMs.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #sweep = (): void => {
    this.#timer = undefined;
    const nowMs = this.#now();
    for (const [item, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        this.#timer ??= setTimeout(this.#sweep, Math.ceil(dueMs - nowMs));
        return;
      }
      this.#dueMs.delete(item);
      this.#onDue(item);
    }
  };
}
