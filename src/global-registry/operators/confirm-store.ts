/**
 * `isthmus unfreeze`: the operator says that what the store holds now is what counts.
 *
 * The confirmation is a higher epoch in the store itself, so one process is told and all of them know.
 * Agents see it as another store: they keep what they know of clusters that it does not mention, and
 * publish what it lacks of their own.
 */

import { EPOCH_KEY, KEY_PREFIX } from '../keys.ts';
import type { RegistryStore } from '../store/store.ts';
import { parseEpoch } from '../table/rewind.ts';
import type { TableMirror } from '../table/table-mirror.ts';
import type { AuditChange, AuditJournal } from './audit.ts';

export interface ConfirmedStore {
  readonly store: RegistryStore;
  readonly mirror: TableMirror;
  readonly journal: AuditJournal;
}

/** Resolves to what was wrong, if anything. Throws REVISION_CONFLICT, STORE_UNAVAILABLE. */
export async function confirmStore(
  { store, mirror, journal }: ConfirmedStore,
  by: string,
): Promise<string | undefined> {
  const wrong = mirror.frozen;
  const { entries, revision } = await store.snapshot(KEY_PREFIX);
  const found = entries.find(({ key }) => key === EPOCH_KEY);
  const epoch = Math.max(mirror.mark?.epoch ?? 0, parseEpoch(found?.value)) + 1;
  const change: AuditChange = {
    action: 'store-confirmed',
    subject: wrong ?? 'the store was followed as it was',
    before: mirror.mark === undefined ? '' : `revision ${mirror.mark.revision}`,
    after: `revision ${revision}, epoch ${epoch}`,
  };
  const who = `operator ${by}`;
  const commit = {
    puts: [{ key: EPOCH_KEY, value: Buffer.from(String(epoch)) }],
    deletes: [],
    expect: [{ key: EPOCH_KEY, revision: found?.revision ?? 0n }],
  };
  await store.commit(journal.into(commit, who, [change]));
  journal.written(who, [change]);
  return wrong;
}
