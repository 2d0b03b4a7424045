/** Waiting for work to finish, but not for ever. */

import { sleep } from './supervise.ts';

/** True when `work` settled in time. Leaves no timer behind. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const done = new AbortController();
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      sleep(ms, done.signal).then(() => false),
    ]);
  } finally {
    done.abort();
  }
}
