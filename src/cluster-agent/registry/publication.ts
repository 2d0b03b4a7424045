/**
 * From what this cluster should say and what the registry has of it: the publications that make the two
 * equal, in an order a reader may be interrupted at.
 *
 * Config first, then roots, then exports, then what is left over goes, and the canary last, together
 * with the record that lives on the lease. What is equal already is not written.
 */

import type { ClusterConfig } from '../../mesh/cluster.ts';
import { sameValue } from '../../mesh/collection.ts';
import { sliceEndpoints } from '../../mesh/exports.ts';
import type { ServiceKey, WorkloadName } from '../../mesh/names.ts';
import { type ExportedService, keyOf } from '../../mesh/service.ts';
import type { BundleOffer } from '../../mesh/signed-bundle.ts';
import type { TrustAck } from '../../mesh/trust-acks.ts';
import { idOf, type RecordId, type RegistryRecord } from '../../wire/registry-records.ts';
import { SLICE_ENDPOINTS } from '../../wire/registry-slices.ts';
import { formatSigned } from '../../wire/signed-statement.ts';
import { type ClusterRecords, recordKey } from './registry-view.ts';

export interface Publication {
  readonly puts: readonly RegistryRecord[];
  readonly deletes: readonly RecordId[];
}

/** Everything this cluster says, but for its lease. `published` keeps endpoints in their slices. */
export function desiredRecords(
  config: ClusterConfig,
  offer: BundleOffer,
  exports: Iterable<ExportedService>,
  acks: Iterable<TrustAck>,
  published: ClusterRecords,
): RegistryRecord[] {
  const homes = homesIn(published);
  return [
    { kind: 'config', config },
    {
      kind: 'bundle',
      bundle: {
        signed: formatSigned(offer.current),
        predecessors: offer.predecessors.map(formatSigned),
      },
    },
    ...[...exports].flatMap(service => sliceRecords(service, homes.get(keyOf(service)))),
    { kind: 'trust-acks', acks: [...acks] },
    { kind: 'synced', instance: config.instance },
  ];
}

/** `aliveHeld`: whether the registry's alive record hangs on our current lease. */
export function planPublications(
  desired: readonly RegistryRecord[],
  published: ClusterRecords,
  aliveHeld: boolean,
  recordsMax: number,
): Publication[] {
  const wanted = new Set(desired.map(record => recordKey(idOf(record))));
  const changed = desired.filter(
    record => !sameValue(published.get(recordKey(idOf(record)))?.record, record),
  );
  const leftovers = [...published.values()]
    .map(({ record }) => idOf(record))
    .filter(id => id.kind !== 'alive' && !wanted.has(recordKey(id)));
  const body = changed.filter(record => record.kind !== 'synced');
  const synced = changed.filter(record => record.kind === 'synced');
  const instance = desired.flatMap(record => (record.kind === 'synced' ? [record.instance] : []));
  const alive = instance.map((each): RegistryRecord => ({ kind: 'alive', instance: each }));
  const isAlive =
    aliveHeld && alive.every(record => sameValue(published.get('alive')?.record, record));
  const last = [...(isAlive ? [] : alive), ...synced];
  return [
    ...chunks(body, recordsMax).map(puts => ({ puts, deletes: [] })),
    ...chunks(leftovers, recordsMax).map(deletes => ({ puts: [], deletes })),
    ...(last.length === 0 ? [] : [{ puts: last, deletes: [] }]),
  ];
}

type Homes = ReadonlyMap<WorkloadName, number>;

/** The slice of each endpoint, by service. */
function homesIn(published: ClusterRecords): Map<ServiceKey, Homes> {
  const homes = new Map<ServiceKey, Map<WorkloadName, number>>();
  for (const { record } of published.values()) {
    if (record.kind !== 'export-slice') continue;
    const { slice, endpoints } = record.slice;
    const known = homes.get(keyOf(record.slice)) ?? new Map<WorkloadName, number>();
    homes.set(keyOf(record.slice), known);
    for (const { workload } of endpoints) known.set(workload, slice);
  }
  return homes;
}

function sliceRecords(service: ExportedService, homes: Homes = new Map()): RegistryRecord[] {
  const { namespace, name, ports, exportTo, endpoints } = service;
  return sliceEndpoints(endpoints, homes, SLICE_ENDPOINTS).map(slice => ({
    kind: 'export-slice',
    slice: { namespace, name, ports, exportTo, ...slice },
  }));
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
