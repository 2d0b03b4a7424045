/**
 * Who may call a port of a service: the trust domains of its own cluster and of those it is exported to.
 * The exporting agent works it out, and the sidecars of the service judge each request by it.
 */

import type { ClusterConfig } from './cluster.ts';
import type { Branded, ClusterName, Namespace, ServiceName } from './names.ts';
import { isExportedTo, type LocalService, serviceHost } from './service.ts';
import type { TrustDomain } from './spiffe-id.ts';

/** `inbound|<port>||<host>`: Istio's convention. */
export type InboundName = Branded<string, 'InboundName'>;

export function inboundName(
  { namespace, name }: { readonly namespace: Namespace; readonly name: ServiceName },
  port: number,
): InboundName {
  return `inbound|${port}||${serviceHost('clusterset', namespace, name)}` as InboundName;
}

/** Sorted, without duplicates. `clusters`: the members of the ClusterSet, `own` among them. */
export function callersOf(
  { exported, exportTo }: Pick<LocalService, 'exported' | 'exportTo'>,
  own: ClusterName,
  clusters: Iterable<Pick<ClusterConfig, 'name' | 'trustDomain'>>,
): TrustDomain[] {
  const callers = new Set<TrustDomain>();
  for (const { name, trustDomain } of clusters) {
    if (name === own || (exported && isExportedTo(exportTo, name))) callers.add(trustDomain);
  }
  return [...callers].sort();
}
