/**
 * Who may call a port of a service: the trust domains of its own cluster, of those it is exported to, and
 * those outside the ClusterSet that the cluster's operator names. The exporting agent works it out, and the sidecars of the service judge each request by it.
 */

import type { ClusterConfig } from './cluster.ts';
import type { Branded, ClusterName, Namespace, ServiceKey, ServiceName } from './names.ts';
import { isExportedTo, keyOf, type LocalService, serviceHost } from './service.ts';
import type { TrustDomain } from './spiffe-id.ts';

/** `inbound|<port>||<host>`: Istio's convention. */
export type InboundName = Branded<string, 'InboundName'>;

export function inboundName(
  { namespace, name }: { readonly namespace: Namespace; readonly name: ServiceName },
  port: number,
): InboundName {
  return `inbound|${port}||${serviceHost('clusterset', namespace, name)}` as InboundName;
}

/** Trust domains outside the ClusterSet, and what each may call. */
export type Guests = ReadonlyMap<TrustDomain, ReadonlySet<ServiceKey>>;

/** Sorted, without duplicates. `clusters`: the members of the ClusterSet, `own` among them. */
export function callersOf(
  service: Pick<LocalService, 'namespace' | 'name' | 'exported' | 'exportTo'>,
  own: ClusterName,
  clusters: Iterable<Pick<ClusterConfig, 'name' | 'trustDomain'>>,
  guests: Guests,
): TrustDomain[] {
  const { exported, exportTo } = service;
  const callers = new Set<TrustDomain>();
  for (const { name, trustDomain } of clusters) {
    if (name === own || (exported && isExportedTo(exportTo, name))) callers.add(trustDomain);
  }
  for (const [trustDomain, services] of guests) {
    if (services.has(keyOf(service))) callers.add(trustDomain);
  }
  return [...callers].sort();
}
