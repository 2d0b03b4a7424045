/** Whose a service is, as operators see and change it: `isthmus service own`, `disown`, `approve`, `list`. */

import { MeshError } from '../../mesh/errors.ts';
import { intentKey } from '../../mesh/intent.ts';
import {
  type ClusterName,
  type Namespace,
  type ServiceKey,
  type ServiceName,
  serviceKey,
} from '../../mesh/names.ts';
import type { Standing } from '../../mesh/ownership.ts';
import { formatIntent } from '../../wire/registry-intents.ts';
import { formatIntentKey } from '../keys.ts';
import type { TableMirror } from '../table/table-mirror.ts';
import { deleteIntent, type IntentTable, putIntent } from './intents.ts';

export interface ServiceRef {
  readonly namespace: Namespace;
  readonly name: ServiceName;
}

/** What an operator says with a change. */
export interface Stated {
  readonly reason: string;
  readonly by: string;
  readonly atMs: number;
}

export interface OwnedService {
  readonly service: ServiceKey;
  /** As operators have said; undefined: the first exporter. */
  readonly owners: readonly ClusterName[] | undefined;
  readonly exporters: ReadonlyMap<ClusterName, Standing>;
}

export async function ownService(
  table: IntentTable,
  service: ServiceRef,
  clusters: readonly ClusterName[],
  stated: Stated,
): Promise<void> {
  const { namespace, name } = service;
  const owners = [...new Set(clusters)].sort();
  await putIntent(table, {
    kind: 'service-ownership',
    namespace,
    name,
    clusters: owners,
    ...stated,
  });
}

/** Whether anything had been said of it. */
export function disownService(
  table: IntentTable,
  service: ServiceRef,
  by: string,
): Promise<boolean> {
  return deleteIntent(table, keyOfOwnership(service), by);
}

/** Adds a waiting exporter to those that back the service now. Throws SERVICE_UNKNOWN. */
export async function approveExport(
  table: IntentTable,
  service: ServiceRef,
  cluster: ClusterName,
  stated: Stated,
): Promise<readonly ClusterName[]> {
  const key = serviceKey(service.namespace, service.name);
  const exporters = table.mirror.table.standings(key);
  if (!exporters.has(cluster)) {
    const known = [...exporters.keys()].join(', ') || 'nobody';
    throw new MeshError(
      'SERVICE_UNKNOWN',
      `cluster "${cluster}" does not export ${key}; ${known} does. To allow it beforehand, run: isthmus service own ${key} --clusters …`,
    );
  }
  const owners = ownersOf(table.mirror, service);
  const backing = [...exporters].flatMap(([name, { kind }]) => (kind === 'owner' ? [name] : []));
  const clusters = [...new Set([...(owners ?? backing), cluster])].sort();
  await ownService(table, service, clusters, stated);
  return clusters;
}

/** Every exported or owned service. */
export function listOwners(mirror: TableMirror): OwnedService[] {
  const services = new Map<ServiceKey, OwnedService>();
  for (const [service] of mirror.table.services()) {
    services.set(service, {
      service,
      owners: undefined,
      exporters: mirror.table.standings(service),
    });
  }
  for (const { intent } of mirror.table.intents()) {
    if (intent.kind !== 'service-ownership') continue;
    const { namespace, name, clusters } = intent;
    const service = serviceKey(namespace, name);
    const exporters = services.get(service)?.exporters ?? new Map<ClusterName, Standing>();
    services.set(service, { service, owners: clusters, exporters });
  }
  return [...services.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** To be written again with more clusters. Throws REQUEST_INVALID when that would lose what it says besides. */
function ownersOf(mirror: TableMirror, service: ServiceRef): readonly ClusterName[] | undefined {
  const row = mirror.rows.get(formatIntentKey(keyOfOwnership(service)));
  if (row?.kind !== 'intent' || row.intent.kind !== 'service-ownership') return undefined;
  if (Buffer.compare(formatIntent(row.intent), row.entry.value) === 0) return row.intent.clusters;
  throw new MeshError(
    'REQUEST_INVALID',
    `who owns ${serviceKey(service.namespace, service.name)} was written by a newer version and says more than this registry can read; use a registry of that version, or say all of it again: isthmus service own`,
  );
}

function keyOfOwnership({ namespace, name }: ServiceRef): ReturnType<typeof intentKey> {
  return intentKey({ kind: 'service-ownership', namespace, name, clusters: [] });
}
