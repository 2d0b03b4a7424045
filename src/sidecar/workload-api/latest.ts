/** State as a stream: its value at once, then after each change the newest; changes in between are skipped. */

export interface Observed {
  observe(observer: () => void): () => void;
}

export async function* latest<T>(
  sources: readonly Observed[],
  read: () => T,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  let changed = true;
  let wake = (): void => undefined;
  const raise = (): void => {
    changed = true;
    wake();
  };
  const stops = sources.map(source => source.observe(raise));
  signal.addEventListener('abort', raise, { once: true });
  try {
    while (!signal.aborted) {
      changed = false;
      yield read();
      // It may have changed while the reader was slow.
      if (!isRaised()) await new Promise<void>(resolve => (wake = resolve));
    }
  } finally {
    for (const stop of stops) stop();
    signal.removeEventListener('abort', raise);
  }

  function isRaised(): boolean {
    return changed || signal.aborted;
  }
}
