/**
 * What one class of proxies should hold: xDS resources, encoded once and shared by all its streams.
 *
 * A version is a hash of the bytes, so it means the same after a restart and a proxy that reconnects is
 * sent only what differs. Pure: mesh state in, resources out.
 */

import { createHash } from 'node:crypto';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import type { ServicePolicy } from '../../mesh/failover-policy.ts';
import type { ImportedService } from '../../mesh/imports.ts';
import type { Locality } from '../../mesh/locality.ts';
import type { ClusterName, ServiceKey } from '../../mesh/names.ts';
import {
  gatewayRoutes,
  hostsOf,
  importedUpstreams,
  localUpstreams,
  type Spills,
  type Vantage,
} from '../../mesh/outbound.ts';
import {
  type ExportedService,
  type HostScope,
  keyOf,
  type LocalService,
} from '../../mesh/service.ts';
import { type Steering, steer } from '../../mesh/steering.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { formatProbeSni, formatSni } from '../../wire/sni.ts';
import { formatCluster } from '../../wire/xds/cluster.ts';
import { formatGatewayListener, GATEWAY_LISTENER } from '../../wire/xds/listener.ts';
import { formatGatewayAssignment, formatLoadAssignment } from '../../wire/xds/load-assignment.ts';
import { formatPeerGateways } from '../../wire/xds/peer-gateways.ts';
import { RESOURCE_ORDER, type ResourceType, type XdsResource } from '../../wire/xds/resource.ts';
import { formatHostRoutes } from '../../wire/xds/route-configuration.ts';
import { BUNDLES_SECRET, formatBundles } from '../../wire/xds/secret.ts';
import type { Withdrawn } from '../withdrawals.ts';
import { type ToldUpstream, toldUpstreams } from './told-upstreams.ts';

export interface MeshState {
  readonly cluster: ClusterConfig;
  readonly services: readonly LocalService[];
  readonly exports: readonly ExportedService[];
  readonly imports: readonly ImportedService[];
  /** How to reach each cluster, our own included. */
  readonly clusters: ReadonlyMap<ClusterName, ClusterConfig>;
  readonly bundles: readonly TrustBundle[];
  /** How this cluster calls services. */
  readonly policies: ReadonlyMap<ServiceKey, ServicePolicy>;
  readonly spills: Spills;
  readonly steering: Steering;
  /** Taken back lately, by service. */
  readonly withdrawn: {
    readonly services: ReadonlyMap<ServiceKey, Withdrawn<LocalService>>;
    readonly imports: ReadonlyMap<ServiceKey, Withdrawn<ImportedService>>;
  };
  /**
   * False until the other clusters are known, from the registry or from disk. Until then only what this
   * cluster knows by itself is sent and nothing is taken back: proxies may know more than we do.
   */
  readonly complete: boolean;
}

export type ProxyClass =
  | { readonly kind: 'sidecar'; readonly locality: Locality }
  | { readonly kind: 'gateway' };

export interface Snapshot {
  readonly complete: boolean;
  readonly types: Readonly<Record<ResourceType, TypeSnapshot>>;
}

export interface TypeSnapshot {
  /** Of all resources together. */
  readonly version: string;
  readonly resources: ReadonlyMap<string, XdsResource>;
}

export function snapshotFor(proxies: ProxyClass, state: MeshState): Snapshot {
  const resources =
    proxies.kind === 'gateway' ? gatewayResources(state) : sidecarResources(proxies, state);
  if (state.complete) {
    resources.push(['secret', BUNDLES_SECRET, formatBundles(bundlesInOrder(state.bundles))]);
  }
  return { complete: state.complete, types: byType(resources) };
}

type Encoded = [type: ResourceType, name: string, bytes: Buffer];

function sidecarResources(
  { locality }: ProxyClass & { readonly kind: 'sidecar' },
  state: MeshState,
): Encoded[] {
  const vantage: Vantage = {
    locality,
    network: state.cluster.network,
    clusters: state.clusters,
    policies: state.policies,
    spills: state.spills,
  };
  const { services, imports } = state.withdrawn;
  const local = toldUpstreams(state.services, services, each =>
    localUpstreams(each, vantage, formatSni),
  );
  const imported = state.complete
    ? toldUpstreams(state.imports, imports, each =>
        importedUpstreams(each, vantage, formatSni).map(upstream =>
          steer(upstream, keyOf(each), state.steering),
        ),
      )
    : [];
  return [
    ...[...local, ...imported].flatMap(upstreamResources),
    ...routeResources('cluster', local),
    ...routeResources('clusterset', imported),
  ];
}

function upstreamResources({ upstream, withdrawn }: ToldUpstream): Encoded[] {
  const { name, protocol, policy, endpoints } = upstream;
  const identities = [...new Set(endpoints.map(({ spiffeId }) => spiffeId))].sort();
  return [
    ['cluster', name, formatCluster({ kind: 'upstream', name, protocol, policy, identities })],
    ['load-assignment', name, formatLoadAssignment({ ...upstream, withdrawn })],
  ];
}

/** One route configuration a scope and port: what is only local never waits for what is imported. */
function routeResources(scope: HostScope, told: readonly ToldUpstream[]): Encoded[] {
  const upstreams = told.flatMap(({ upstream, isGone }) => (isGone ? [] : [upstream]));
  const ports = [...new Set(upstreams.map(({ port }) => port))];
  return ports.map(port => {
    const name = `${scope}:${port}`;
    const hosts = upstreams.filter(each => each.port === port).flatMap(hostsOf);
    return ['route-configuration', name, formatHostRoutes({ name, hosts })];
  });
}

function gatewayResources(state: MeshState): Encoded[] {
  const routes = state.exports
    .flatMap(each => gatewayRoutes(state.cluster.name, each, formatSni))
    .sort((a, b) => (a.sni < b.sni ? -1 : 1));
  const peers = [...state.clusters.values()]
    .filter(({ name, gateways }) => name !== state.cluster.name && gateways.length > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const chains = routes.map(({ sni }) => ({ sni, cluster: sni }));
  return [
    ...routes.flatMap(({ sni, endpoints }): Encoded[] => [
      ['cluster', sni, formatCluster({ kind: 'passthrough', name: sni })],
      ['load-assignment', sni, formatGatewayAssignment({ name: sni, endpoints })],
    ]),
    ...peers.flatMap(({ name, trustDomain, gateways }): Encoded[] => {
      const sni = formatProbeSni(name);
      const assignment = formatPeerGateways({ cluster: name, trustDomain, addresses: gateways });
      return [
        ['cluster', sni, formatCluster({ kind: 'passthrough', name: sni })],
        ['load-assignment', sni, assignment],
      ];
    }),
    ['listener', GATEWAY_LISTENER, formatGatewayListener(chains)],
  ];
}

/** Equal state must give equal bytes, in whatever order it was learned. */
function bundlesInOrder(bundles: readonly TrustBundle[]): TrustBundle[] {
  return [...bundles].sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
}

function byType(encoded: readonly Encoded[]): Snapshot['types'] {
  const types = RESOURCE_ORDER.map((type): [ResourceType, TypeSnapshot] => {
    const resources = new Map<string, XdsResource>();
    const whole = createHash('sha256');
    for (const [each, name, bytes] of encoded) {
      if (each !== type) continue;
      const version = shortHash(createHash('sha256').update(bytes));
      whole.update(`${name}=${version}\n`);
      resources.set(name, { name, version, bytes });
    }
    return [type, { version: shortHash(whole), resources }];
  });
  return Object.fromEntries(types) as Record<ResourceType, TypeSnapshot>;
}

function shortHash(hash: ReturnType<typeof createHash>): string {
  return hash.digest('hex').slice(0, 16);
}
