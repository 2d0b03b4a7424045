/**
 * The operators' intents in the table: written by the operator service only, one commit each.
 *
 * A write states the revision it replaces, so of two operators who change one intent at once the second
 * is told (REVISION_CONFLICT) instead of undoing the first.
 */

import { type Intent, type IntentKey, intentKey } from '../mesh/intent.ts';
import { formatIntent, type StoredIntent } from '../wire/registry-intents.ts';
import { formatIntentKey } from './keys.ts';
import { PUBLISH_VISIBLE_MS_MAX } from './limits.ts';
import type { Commit, RegistryStore } from './store.ts';
import type { TableMirror } from './table-mirror.ts';

export interface IntentTable {
  readonly store: RegistryStore;
  readonly mirror: TableMirror;
}

export function listIntents(mirror: TableMirror): StoredIntent[] {
  return [...mirror.rows.values()].flatMap(row =>
    row.kind === 'intent' ? [{ intent: row.intent, revision: row.entry.revision }] : [],
  );
}

/** Replaces the intent of its kind and subject. Throws REVISION_CONFLICT, STORE_UNAVAILABLE. */
export async function putIntent(table: IntentTable, intent: Intent): Promise<bigint> {
  const key = formatIntentKey(intentKey(intent));
  return write(table, key, { puts: [{ key, value: formatIntent(intent) }], deletes: [] });
}

/** Whether there was one. Throws REVISION_CONFLICT, STORE_UNAVAILABLE. */
export async function deleteIntent(table: IntentTable, intent: IntentKey): Promise<boolean> {
  const key = formatIntentKey(intent);
  if (!table.mirror.rows.has(key)) return false;
  await write(table, key, { puts: [], deletes: [key] });
  return true;
}

/** Done when this process shows it. */
async function write({ store, mirror }: IntentTable, key: string, commit: Commit): Promise<bigint> {
  const expected = mirror.rows.get(key)?.entry.revision ?? 0n;
  const revision = await store.commit({ ...commit, expect: [{ key, revision: expected }] });
  await mirror.reached(revision, AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
  return revision;
}
