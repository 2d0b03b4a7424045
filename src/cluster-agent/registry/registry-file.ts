/** The registry view as bytes on disk: the registry's own watch message, position included. */

import { WatchResponse } from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { formatIntent } from '../../wire/registry-intents.ts';
import { formatRecord } from '../../wire/registry-records.ts';
import { UpdateReader } from '../../wire/registry-updates.ts';
import {
  applyUpdate,
  EMPTY_VIEW,
  intentsInForce,
  type RegistryView,
  recordsInForce,
} from './registry-view.ts';

export function formatRegistryFile(view: RegistryView): Uint8Array {
  const records = [...recordsInForce(view)].flatMap(([cluster, rows]) =>
    [...rows.values()].map(({ record, revision }) => ({
      cluster,
      record: Buffer.from(formatRecord(record)),
      modRevision: revision,
      key: '',
    })),
  );
  const intents = [...intentsInForce(view).values()].map(({ intent, revision }) => ({
    intent: Buffer.from(formatIntent(intent)),
    modRevision: revision,
    key: '',
  }));
  return WatchResponse.encode({
    afterRevision: 0n,
    revision: view.position?.revision ?? 0n,
    // What an earlier store had is not what this one has: after a start, ask for everything.
    storeId: remembers(view) ? '' : (view.position?.storeId ?? ''),
    body: { $case: 'replaceAll', value: { records, intents, more: false } },
  }).finish();
}

function remembers({ remembered, rememberedIntents }: RegistryView): boolean {
  return remembered.size > 0 || rememberedIntents.size > 0;
}

/** Throws for anything `formatRegistryFile` does not write; one unreadable record spoils it all. */
export function parseRegistryFile(content: Uint8Array): RegistryView {
  const reader = new UpdateReader(error => {
    throw error;
  });
  const update = reader.read(WatchResponse.decode(content));
  return update === undefined ? EMPTY_VIEW : applyUpdate(EMPTY_VIEW, update);
}
