/**
 * MCS imports (KEP-1645): one service per namespace and name for the whole ClusterSet, merged from what
 * the clusters export, our own exports among them.
 *
 * Ports are united. Where two clusters disagree about one, the cluster whose name sorts first decides
 * for everybody (the records carry no ages to compare), and the disagreement stays visible.
 */

import type { ClusterName, ServiceKey } from './names.ts';
import {
  type Endpoint,
  type ExportedService,
  keyOf,
  type Protocol,
  type ServicePort,
} from './service.ts';

export interface ImportedService {
  readonly namespace: ExportedService['namespace'];
  readonly name: ExportedService['name'];
  readonly ports: readonly ImportedPort[];
  readonly endpoints: readonly Endpoint[];
  /** Who exports it, sorted. */
  readonly clusters: readonly ClusterName[];
  readonly conflicts: readonly PortConflict[];
}

export interface ImportedPort extends ServicePort {
  /** The clusters whose endpoints serve this port. */
  readonly clusters: readonly ClusterName[];
}

export interface PortConflict {
  readonly port: number;
  readonly winner: ClusterName;
  readonly loser: ClusterName;
  /** What the loser wanted. */
  readonly protocol: Protocol;
}

/** Two clusters of one name would be one cluster: the caller's map has unique names. */
export function importServices(
  exportsByCluster: ReadonlyMap<ClusterName, readonly ExportedService[]>,
): Map<ServiceKey, ImportedService> {
  const imports = new Map<ServiceKey, ImportedService>();
  const clusters = [...exportsByCluster].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [cluster, services] of clusters) {
    for (const service of services) {
      const key = keyOf(service);
      imports.set(key, merge(imports.get(key), service, cluster));
    }
  }
  return imports;
}

/**
 * What is offered without the endpoints of clusters that are not served, where a service has others. The
 * last ones stay: a call that fails fast is better than a name that leads nowhere.
 */
export function withoutTombstones(
  exportsByCluster: ReadonlyMap<ClusterName, readonly ExportedService[]>,
  isServed: (cluster: ClusterName) => boolean,
): ReadonlyMap<ClusterName, readonly ExportedService[]> {
  const alive = new Set<ServiceKey>();
  for (const [cluster, services] of exportsByCluster) {
    if (!isServed(cluster)) continue;
    for (const each of services) if (each.endpoints.length > 0) alive.add(keyOf(each));
  }
  return new Map(
    [...exportsByCluster].map(([cluster, services]) => [
      cluster,
      isServed(cluster)
        ? services
        : services.map(each => (alive.has(keyOf(each)) ? { ...each, endpoints: [] } : each)),
    ]),
  );
}

function merge(
  known: ImportedService | undefined,
  service: ExportedService,
  cluster: ClusterName,
): ImportedService {
  const ports = new Map(known?.ports.map(port => [port.port, port]));
  const conflicts = [...(known?.conflicts ?? [])];
  for (const { port, protocol } of service.ports) {
    const before = ports.get(port);
    const winner = before?.clusters[0];
    if (before === undefined || winner === undefined) {
      ports.set(port, { port, protocol, clusters: [cluster] });
      continue;
    }
    if (before.protocol !== protocol) conflicts.push({ port, winner, loser: cluster, protocol });
    ports.set(port, { ...before, clusters: [...before.clusters, cluster] });
  }
  return {
    namespace: service.namespace,
    name: service.name,
    ports: [...ports.values()].sort((a, b) => a.port - b.port),
    endpoints: [...(known?.endpoints ?? []), ...service.endpoints],
    clusters: [...(known?.clusters ?? []), cluster],
    conflicts,
  };
}
