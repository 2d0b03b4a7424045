/**
 * Faults: exceptions that nobody expected, thrown while one connection was being served.
 *
 * A bug that one peer can reach must not end a process that serves everybody. Whoever is
 * called from outside on behalf of one connection contains what it throws: the fault is counted, logged
 * with its stack when it is a new one, and the connection is cut. Of the process, like its exit code.
 */

/** Stacks remembered; beyond it faults are counted and no longer logged. */
const NEW_FAULTS_MAX = 100;

const seen = new Set<string>();
const listeners = new Set<(error: unknown) => void>();
let count = 0;

export function faultCount(): number {
  return count;
}

/** Told of each fault that has not been seen before. Returns the way to stop. */
export function onNewFault(listener: (error: unknown) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function reportFault(error: unknown): void {
  count++;
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (seen.has(what) || seen.size >= NEW_FAULTS_MAX) return;
  seen.add(what);
  for (const listener of listeners) listener(error);
}

/** `cut` ends what `work` was done for. */
export function contain(work: () => void, cut: () => void): void {
  try {
    work();
  } catch (error) {
    afterFault(error, cut);
  }
}

/** The same where a closure for each call would cost too much. */
export function afterFault(error: unknown, cut: () => void): void {
  reportFault(error);
  try {
    cut();
  } catch (another) {
    reportFault(another);
  }
}
