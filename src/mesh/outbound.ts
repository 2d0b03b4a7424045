/**
 * What a proxy can call and how: every port of every service as an upstream, with each endpoint's
 * priority and path as seen from the caller's place; and the mirror image, what a gateway lets in.
 *
 * Server names come from outside (`sniOf`): their grammar is bytes, and this is not.
 */

import type { ClusterConfig } from './cluster.ts';
import { DEFAULT_SERVICE_POLICY, placeEndpoints, type ServicePolicy } from './failover-policy.ts';
import type { ImportedService } from './imports.ts';
import type { Locality } from './locality.ts';
import type { ClusterName, Namespace, ServiceKey, ServiceName } from './names.ts';
import {
  type Endpoint,
  type EndpointHash,
  type ExportedService,
  endpointHash,
  keyOf,
  type LocalService,
  type ServicePort,
  serviceHost,
} from './service.ts';
import { trustDomainOf } from './spiffe-id.ts';
import {
  type GatewayRoute,
  type Upstream,
  type UpstreamEndpoint,
  type UpstreamName,
  upstreamName,
} from './upstream.ts';

export interface ServerName {
  readonly cluster: ClusterName;
  readonly namespace: Namespace;
  readonly service: ServiceName;
  readonly port: number;
  readonly endpoint?: EndpointHash;
}

export type FormatServerName = (name: ServerName) => string;

/** Where a caller stands. */
export interface Vantage {
  readonly locality: Locality;
  /** Clusters of one network reach each other's sidecars directly. */
  readonly network: string;
  /** How to reach each cluster, its own included. */
  readonly clusters: ReadonlyMap<ClusterName, Pick<ClusterConfig, 'network' | 'gateways'>>;
  readonly policies: ReadonlyMap<ServiceKey, ServicePolicy>;
  readonly spills: Spills;
}

/** `<namespace>/<service> <cluster>`. */
export type SpillKey = string;

/** Percent of a cluster's calls of a service that go elsewhere for its load (`load-spill.ts`). */
export type Spills = ReadonlyMap<SpillKey, number>;

export function spillKey(service: ServiceKey, cluster: ClusterName): SpillKey {
  return `${service} ${cluster}`;
}

/** `<svc>.<ns>.svc.clusterset.local`: every exporting cluster's endpoints. */
export function importedUpstreams(
  service: ImportedService,
  vantage: Vantage,
  sniOf: FormatServerName,
): Upstream[] {
  const host = serviceHost('clusterset', service.namespace, service.name);
  return service.ports.map(port => {
    const serving = service.endpoints.filter(({ cluster }) => port.clusters.includes(cluster));
    return upstream(host, service, port, serving, vantage, sniOf, policyOf(service, vantage));
  });
}

/** `<svc>.<ns>.svc.cluster.local`: this cluster's endpoints, exported or not. */
export function localUpstreams(
  service: LocalService,
  vantage: Vantage,
  sniOf: FormatServerName,
): Upstream[] {
  const host = serviceHost('cluster', service.namespace, service.name);
  // Other clusters do not come into it.
  const policy = { ...policyOf(service, vantage), failover: undefined };
  return service.ports.map(port =>
    upstream(host, service, port, service.endpoints, vantage, sniOf, policy),
  );
}

/** The names an application may use for an upstream: `host:port`, and the bare host for port 80. */
export function hostsOf({
  name,
  host,
  port,
}: Upstream): (readonly [host: string, upstream: UpstreamName])[] {
  const withPort = [`${host}:${port}`, name] as const;
  return port === 80 ? [withPort, [host, name]] : [withPort];
}

/** One route per exported port; nothing else of the cluster can be reached through its gateway. */
export function gatewayRoutes(
  cluster: ClusterName,
  service: ExportedService,
  sniOf: FormatServerName,
): GatewayRoute[] {
  const { namespace, name, endpoints } = service;
  return service.ports.map(({ port }) => ({
    sni: sniOf({ cluster, namespace, service: name, port }),
    endpoints: endpoints.map(({ workload, address }) => ({
      hash: endpointHash(cluster, workload),
      workload,
      address,
    })),
  }));
}

function upstream(
  host: string,
  service: { readonly namespace: Namespace; readonly name: ServiceName },
  { port, protocol }: ServicePort,
  endpoints: readonly Endpoint[],
  vantage: Vantage,
  sniOf: FormatServerName,
  policy: ServicePolicy,
): Upstream {
  const reachable = endpoints.flatMap(endpoint => {
    const way = wayTo(endpoint, vantage);
    if (way === undefined) return [];
    const { cluster, workload, spiffeId, locality } = endpoint;
    const hash = endpointHash(cluster, workload);
    const sni = sniOf({
      cluster,
      namespace: service.namespace,
      service: service.name,
      port,
      endpoint: hash,
    });
    const trustDomain = trustDomainOf(spiffeId);
    const who = { hash, workload, cluster, trustDomain, spiffeId, locality };
    const spilt = vantage.spills.get(spillKey(keyOf(service), cluster)) ?? 0;
    return [{ ...who, availability: 100 - spilt, ...way, sni }];
  });
  const placement = placeEndpoints(reachable, vantage.locality, policy.failover);
  return {
    name: upstreamName(host, port),
    host,
    port,
    protocol,
    policy: policy.upstream,
    overprovisioning: placement.overprovisioning,
    endpoints: [...placement.endpoints].sort(byPreference),
  };
}

function policyOf(
  service: { readonly namespace: Namespace; readonly name: ServiceName },
  { policies }: Vantage,
): ServicePolicy {
  return policies.get(keyOf(service)) ?? DEFAULT_SERVICE_POLICY;
}

type Way = Pick<UpstreamEndpoint, 'path' | 'addresses'>;

/** Undefined when the endpoint is on another network and its cluster has no gateway. */
function wayTo(endpoint: Endpoint, vantage: Vantage): Way | undefined {
  const cluster = vantage.clusters.get(endpoint.cluster);
  if (cluster === undefined) return undefined;
  if (cluster.network === vantage.network) {
    return { path: 'direct', addresses: [endpoint.address] };
  }
  return cluster.gateways.length === 0
    ? undefined
    : { path: 'gateway', addresses: cluster.gateways };
}

function byPreference(a: UpstreamEndpoint, b: UpstreamEndpoint): number {
  return (
    a.priority - b.priority ||
    compare(a.locality.region, b.locality.region) ||
    compare(a.locality.zone, b.locality.zone) ||
    compare(a.cluster, b.cluster) ||
    compare(a.workload, b.workload)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
