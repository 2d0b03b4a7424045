/** One waiter's "something has changed": raised any number of times before it looks, it is seen once. */

export class Signal {
  #raised = false;
  #wake: (() => void) | undefined;

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves when raised since the last wait, on abort, or after `atMostMs`. */
  async wait(signal: AbortSignal, atMostMs?: number): Promise<void> {
    if (!this.#raised && !signal.aborted) {
      await new Promise<void>(resolve => {
        const timer = atMostMs === undefined ? undefined : setTimeout(() => done(), atMostMs);
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
    this.#raised = false;
  }
}
