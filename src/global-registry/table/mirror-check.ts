/**
 * Compares this process's copy with the store, again and again, because a watch that has lost an event
 * looks exactly like one that has not, and etcd has lost events before.
 *
 * The store's index comes from a quorum, so a member that is cut off or lags is found out too: either
 * it does not answer, or it knows less than the index says. What the watch has not brought within the
 * grace time it never will; then the copy is mended by a new snapshot. The check is as frequent as it is
 * cheap: it takes at most a twentieth of the time, and never comes later than a minute after the last.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep } from '../../runtime/supervise.ts';
import { isMirrored, KEY_PREFIX } from '../keys.ts';
import { CHECK_GRACE_MS, CHECK_MS_MAX, CHECK_SHARE } from '../limits.ts';
import type { RegistryMetrics } from '../metrics.ts';
import type { Index, RegistryStore } from '../store/store.ts';
import type { RegistryTable } from './table.ts';

export interface MirrorCheck {
  readonly store: RegistryStore;
  /** The copy. */
  readonly table: RegistryTable;
  /** Whether the watch has shown the deletion of a key since a revision. */
  readonly deletedAfter: (key: string, revision: bigint) => boolean;
  readonly log: Logger;
  readonly metrics: RegistryMetrics;
  /** The shortest wait between two comparisons. */
  readonly msMin: number;
}

/** Until aborted. Throws REVISION_COMPACTED when the copy needs mending, STORE_UNAVAILABLE. */
export async function checkMirror(check: MirrorCheck, signal: AbortSignal): Promise<void> {
  const { store, log, metrics, msMin } = check;
  const stopping = (): boolean => signal.aborted;
  let waitMs = msMin;
  for (;;) {
    await sleep(waitMs, signal);
    if (stopping()) return;
    const startMs = performance.now();
    // A store that does not answer is asked once more: it may be this process that had no time to hear it.
    const index = await store.index(KEY_PREFIX).catch(() => store.index(KEY_PREFIX));
    const tookMs = performance.now() - startMs;
    waitMs = Math.min(Math.max(msMin, tookMs * CHECK_SHARE), CHECK_MS_MAX);
    let wrong = differences(index, check);
    if (wrong.length > 0) {
      await sleep(CHECK_GRACE_MS, signal);
      if (stopping()) return;
      wrong = differences(index, check);
    }
    if (wrong.length === 0) continue;
    metrics.repairs.inc();
    log.error({ keys: wrong.slice(0, 10), count: wrong.length }, 'the watch has lost events');
    throw new MeshError(
      'REVISION_COMPACTED',
      `the watch has not shown the newest state of ${wrong.length} keys; reading them again`,
    );
  }
}

/** The keys that the copy has older than the index, or has and the index has not. */
function differences(index: Index, { table, deletedAfter }: MirrorCheck): string[] {
  const wrong: string[] = [];
  for (const [key, revision] of index.revisions) {
    const held = table.revisionOf(key) ?? 0n;
    // What is newer than the index, or was deleted after it, is no difference.
    if (isMirrored(key) && held < revision && !deletedAfter(key, index.revision)) {
      wrong.push(key);
    }
  }
  for (const key of table.keys()) {
    const held = table.revisionOf(key) ?? 0n;
    if (!index.revisions.has(key) && held <= index.revision) wrong.push(key);
  }
  return wrong;
}
