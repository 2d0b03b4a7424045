/**
 * One wait of a fixed length for many things, with one timer: thousands of connections that come and go
 * each second would otherwise each start and stop one.
 */

export interface DeadlinesOptions<T> {
  readonly waitMs: number;
  /** Must not jump; performance.now() unless said. */
  readonly now?: () => number;
  /** Returns the way to stop it; setTimeout unless said. */
  readonly setTimer?: (run: () => void, ms: number) => () => void;
  readonly onDue: (item: T) => void;
}

export class Deadlines<T> {
  readonly #waitMs: number;
  readonly #now: () => number;
  readonly #setTimer: (run: () => void, ms: number) => () => void;
  readonly #onDue: (item: T) => void;
  /** When each is due, the earliest first: all wait equally long. */
  readonly #dueMs = new Map<T, number>();
  #stopTimer: (() => void) | undefined;

  constructor(options: DeadlinesOptions<T>) {
    const { waitMs, now = () => performance.now(), setTimer = setTimeoutTimer, onDue } = options;
    this.#waitMs = waitMs;
    this.#now = now;
    this.#setTimer = setTimer;
    this.#onDue = onDue;
  }

  /** Something that does not wait yet. */
  add(item: T): void {
    this.#dueMs.set(item, this.#now() + this.#waitMs);
    this.#stopTimer ??= this.#setTimer(this.#sweep, this.#waitMs);
  }

  delete(item: T): void {
    this.#dueMs.delete(item);
  }

  /** Forgets everything. */
  clear(): void {
    this.#dueMs.clear();
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  readonly #sweep = (): void => {
    this.#stopTimer = undefined;
    const nowMs = this.#now();
    for (const [item, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        this.#stopTimer ??= this.#setTimer(this.#sweep, Math.ceil(dueMs - nowMs));
        return;
      }
      this.#dueMs.delete(item);
      this.#onDue(item);
    }
  };
}

function setTimeoutTimer(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
