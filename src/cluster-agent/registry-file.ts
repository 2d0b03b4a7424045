/** The registry view as bytes on disk: the registry's own watch message, position included. */

import { WatchResponse } from '../wire/generated/isthmus/registry/v1/registry.ts';
import { encodeIntent } from '../wire/registry-intents.ts';
import { encodeRecord } from '../wire/registry-records.ts';
import { UpdateReader } from '../wire/registry-updates.ts';
import { applyUpdate, EMPTY_VIEW, type RegistryView, recordsInForce } from './registry-view.ts';

export function formatRegistryFile(view: RegistryView): Uint8Array {
  const records = [...recordsInForce(view)].flatMap(([cluster, rows]) =>
    [...rows.values()].map(({ record, revision }) => ({
      cluster,
      record: encodeRecord(record),
      modRevision: revision,
    })),
  );
  const intents = [...view.intents.values()].map(({ intent, revision }) => ({
    intent: encodeIntent(intent),
    modRevision: revision,
  }));
  return WatchResponse.encode({
    revision: view.position?.revision ?? 0n,
    storeId: view.position?.storeId ?? '',
    body: { $case: 'replaceAll', value: { records, intents, more: false } },
  }).finish();
}

/** Throws for anything `formatRegistryFile` does not write; one unreadable record spoils it all. */
export function parseRegistryFile(content: Uint8Array): RegistryView {
  const reader = new UpdateReader(error => {
    throw error;
  });
  const update = reader.read(WatchResponse.decode(content));
  return update === undefined ? EMPTY_VIEW : applyUpdate(EMPTY_VIEW, update);
}
