/**
 * A record as the table keeps it, without the bulk of it: of a slice's endpoints only their number. The
 * bytes that are stored and sent on say the rest, and they are kept beside it.
 */

import type { RegistryRecord } from '../../wire/registry-records.ts';
import type { ExportSlice } from '../../wire/registry-slices.ts';

export type KeptRecord =
  | Exclude<RegistryRecord, { readonly kind: 'export-slice' }>
  | {
      readonly kind: 'export-slice';
      readonly slice: Omit<ExportSlice, 'endpoints'> & { readonly endpoints: number };
    };

export function kept(record: RegistryRecord): KeptRecord {
  if (record.kind !== 'export-slice') return record;
  const { slice } = record;
  return { kind: 'export-slice', slice: { ...slice, endpoints: slice.endpoints.length } };
}
