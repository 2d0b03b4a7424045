/**
 * Running things: `run(signal)` settles after abort and rejects only when it cannot go on.
 *
 * A supervisor owns the tasks of a process. The first rejection aborts the others, so a process is
 * either whole or gone; what restarts it is outside.
 */

import { setMaxListeners } from 'node:events';

export interface Task {
  readonly name: string;
  /** Stopped when the others have settled: what says how a stop is getting on has to outlive it. */
  readonly isLast?: boolean;
  run(signal: AbortSignal): Promise<void>;
}

/** Resolves once `signal` aborts and every task has settled; rejects with the first failure. */
export async function supervise(tasks: readonly Task[], signal: AbortSignal): Promise<void> {
  const stop = new AbortController();
  const stopLast = new AbortController();
  // Each task listens, some in several places: more than ten is no leak.
  setMaxListeners(0, stop.signal, stopLast.signal);
  const abort = (): void => stop.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  let failure: { readonly error: unknown } | undefined;
  const run = (task: Task, until: AbortSignal): Promise<void> =>
    task.run(until).catch((error: unknown) => {
      failure ??= { error };
      stop.abort();
      stopLast.abort();
    });
  const last = tasks.filter(task => task.isLast === true);
  const lastOnes = Promise.all(last.map(task => run(task, stopLast.signal)));
  await Promise.all(tasks.filter(task => !last.includes(task)).map(task => run(task, stop.signal)));
  stopLast.abort();
  await lastOnes;
  signal.removeEventListener('abort', abort);
  if (failure !== undefined) throw failure.error;
}

/** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Exponential waits with full jitter above a floor of half: a herd that fails together spreads out. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(firstMs: number, maxMs: number, random: () => number = Math.random) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** The wait before the next try. */
  next(): number {
    const ceiling = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return ceiling * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
