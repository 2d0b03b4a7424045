/**
 * The operators' intents in the table: written by the operator service only, one commit each, with an
 * entry in the journal.
 *
 * A write states the revision it replaces, so of two operators who change one intent at once the second
 * is told (REVISION_CONFLICT) instead of undoing the first.
 */

import { type Intent, type IntentBody, type IntentKey, intentKey } from '../../mesh/intent.ts';
import { formatIntent, type StoredIntent } from '../../wire/registry-intents.ts';
import { formatIntentKey } from '../keys.ts';
import { PUBLISH_VISIBLE_MS_MAX } from '../limits.ts';
import type { Commit, RegistryStore } from '../store/store.ts';
import type { TableMirror } from '../table/table-mirror.ts';
import type { AuditChange, AuditJournal } from './audit.ts';

export interface IntentTable {
  readonly store: RegistryStore;
  readonly mirror: TableMirror;
  readonly journal: AuditJournal;
}

export function listIntents(mirror: TableMirror): StoredIntent[] {
  return [...mirror.table.intents()].map(({ intent, entry }) => ({
    intent,
    revision: entry.revision,
  }));
}

function findIntent(mirror: TableMirror, key: IntentKey): Intent | undefined {
  const row = mirror.rows.get(formatIntentKey(key));
  return row?.kind === 'intent' ? row.intent : undefined;
}

/**
 * Replaces the intent of its kind and subject; `value` is what the operator's command wrote, with fields
 * that this version may not know. Throws REVISION_CONFLICT, STORE_UNAVAILABLE.
 */
export async function putIntent(
  table: IntentTable,
  intent: Intent,
  value: Uint8Array = formatIntent(intent),
): Promise<bigint> {
  const subject = intentKey(intent);
  const key = formatIntentKey(subject);
  const change: AuditChange = {
    action: 'intent-set',
    subject,
    before: describe(findIntent(table.mirror, subject)),
    after: describe(intent),
  };
  const commit = { puts: [{ key, value }], deletes: [] };
  return write(table, key, commit, intent.by, change);
}

/** Whether there was one. Throws REVISION_CONFLICT, STORE_UNAVAILABLE. */
export async function deleteIntent(
  table: IntentTable,
  subject: IntentKey,
  by: string,
): Promise<boolean> {
  const before = findIntent(table.mirror, subject);
  if (before === undefined) return false;
  const key = formatIntentKey(subject);
  const change: AuditChange = {
    action: 'intent-removed',
    subject,
    before: describe(before),
    after: '',
  };
  await write(table, key, { puts: [], deletes: [key] }, by, change);
  return true;
}

/** Done when this process shows it. */
async function write(
  { store, mirror, journal }: IntentTable,
  key: string,
  commit: Commit,
  by: string,
  change: AuditChange,
): Promise<bigint> {
  const revision = mirror.rows.get(key)?.entry.revision ?? 0n;
  const who = `operator ${by}`;
  const expected = { ...commit, expect: [{ key, revision }] };
  const written = await store.commit(journal.into(expected, who, [change]));
  journal.written(who, [change]);
  await mirror.reached(written, AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
  return written;
}

function describe(intent: Intent | undefined): string {
  if (intent === undefined) return '';
  const why = intent.reason === '' ? '' : ` (${intent.reason})`;
  return `${describeBody(intent)}${why}`;
}

function describeBody(intent: IntentBody): string {
  switch (intent.kind) {
    case 'service-ownership':
      return `clusters ${intent.clusters.join(', ') || 'none'}`;
    case 'drain':
      return `from ${new Date(intent.startMs).toISOString()} over ${intent.overMs / 1000}s`;
    case 'failover':
      return `to ${intent.to} until ${new Date(intent.untilMs).toISOString()}`;
    case 'departure':
      return 'left';
    case 'cluster-revocation':
      return `statement of ${intent.statement.length} bytes`;
  }
}
