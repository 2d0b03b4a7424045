/**
 * Which clusters may back a service that several of them export.
 *
 * Where the operators have said so, exactly those. Where they have not, the first to export it owns it
 * and the next one waits to be approved: otherwise any member of the ClusterSet could take a share of
 * any service's calls by exporting its name. Waiting is not an error: the export
 * is kept, and shown to the others as soon as it is approved.
 */

import type { ClusterName, Namespace, ServiceName } from './names.ts';
import { type ExportedService, isExportedTo } from './service.ts';

export interface Exporter {
  readonly cluster: ClusterName;
  /** The revision at which it began to export the service. */
  readonly since: bigint;
}

export type Standing =
  | { readonly kind: 'owner' }
  | { readonly kind: 'waiting'; readonly why: string };

/** `owners` is what the operators have said, if they have. */
export function standings(
  service: { readonly namespace: Namespace; readonly name: ServiceName },
  exporters: readonly Exporter[],
  owners: readonly ClusterName[] | undefined,
): Map<ClusterName, Standing> {
  const key = `${service.namespace}/${service.name}`;
  const [first] = [...exporters].sort((a, b) => order(a, b));
  const allowed = owners ?? (first === undefined ? [] : [first.cluster]);
  const whose =
    owners === undefined
      ? `"${first?.cluster ?? ''}" exported it first`
      : `its owners are ${owners.map(name => `"${name}"`).join(', ') || 'nobody'}`;
  return new Map(
    exporters.map(({ cluster }): [ClusterName, Standing] => [
      cluster,
      allowed.includes(cluster)
        ? { kind: 'owner' }
        : {
            kind: 'waiting',
            why: `${key} of cluster "${cluster}" is not shown to others: ${whose}; to approve it, run: isthmus service approve ${key} --cluster ${cluster}`,
          },
    ]),
  );
}

/**
 * What a reader may use of another cluster's exports: what is meant for it, of services that the cluster
 * may back. The registry shows it nothing else; this is for a registry that is wrong.
 */
export function usableExports(
  reader: ClusterName,
  cluster: ClusterName,
  services: readonly ExportedService[],
  ownersOf: (service: ExportedService) => readonly ClusterName[] | undefined,
): readonly ExportedService[] {
  return services.filter(
    service =>
      isExportedTo(service.exportTo, reader) && ownersOf(service)?.includes(cluster) !== false,
  );
}

function order(a: Exporter, b: Exporter): number {
  if (a.since !== b.since) return a.since < b.since ? -1 : 1;
  return a.cluster < b.cluster ? -1 : 1;
}
