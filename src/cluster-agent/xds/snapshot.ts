/**
 * What one class of proxies should hold: xDS resources, encoded once and shared by all its streams.
 *
 * A version is a hash of the bytes, so it means the same after a restart and a proxy that reconnects is
 * sent only what differs. Pure: mesh state in, resources out.
 */

import { createHash } from 'node:crypto';
import { callersOf, inboundName } from '../../mesh/callers.ts';
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
import type { Upstream } from '../../mesh/upstream.ts';
import { formatProbeSni, formatSni } from '../../wire/sni.ts';
import { formatCallers } from '../../wire/xds/callers.ts';
import { formatCluster } from '../../wire/xds/cluster.ts';
import { formatGatewayListener, GATEWAY_LISTENER } from '../../wire/xds/listener.ts';
import { formatGatewayAssignment, formatLoadAssignment } from '../../wire/xds/load-assignment.ts';
import { formatPeerGateways } from '../../wire/xds/peer-gateways.ts';
import { RESOURCE_ORDER, type ResourceType, type XdsResource } from '../../wire/xds/resource.ts';
import { formatHostRoutes } from '../../wire/xds/route-configuration.ts';
import { BUNDLES_SECRET, formatBundles } from '../../wire/xds/secret.ts';
import type { Withdrawn } from '../registry/withdrawals.ts';
import { type ToldUpstream, ToldUpstreams } from './told-upstreams.ts';

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

/** `before`: what the same class of proxies was told last; only saves work. */
export function snapshotFor(
  proxies: ProxyClass,
  state: MeshState,
  before = new ToldUpstreams(),
): Snapshot {
  const resources =
    proxies.kind === 'gateway' ? gatewayResources(state) : sidecarResources(proxies, state, before);
  if (state.complete) {
    resources.push(['secret', BUNDLES_SECRET, formatBundles(bundlesInOrder(state.bundles))]);
  }
  return { complete: state.complete, types: byType(resources) };
}

type Encoded = [type: ResourceType, name: string, bytes: Buffer];

function sidecarResources(
  { locality }: ProxyClass & { readonly kind: 'sidecar' },
  state: MeshState,
  before: ToldUpstreams,
): Encoded[] {
  const vantage: Vantage = {
    locality,
    network: state.cluster.network,
    clusters: state.clusters,
    policies: state.policies,
    spills: state.spills,
  };
  const { services, imports, withdrawn, policies } = state;
  const told = before.under(contextOf(state));
  const local = told.of(services, withdrawn.services, policies, each =>
    localUpstreams(each, vantage, formatSni),
  );
  const imported = state.complete
    ? told.of(imports, withdrawn.imports, policies, each =>
        importedUpstreams(each, vantage, formatSni).map(upstream =>
          steer(upstream, keyOf(each), state.steering),
        ),
      )
    : [];
  return [
    ...(state.complete ? callersResources(state) : []),
    ...[...local, ...imported].flatMap(upstreamResources),
    ...routeResources('cluster', local, before),
    ...routeResources('clusterset', imported, before),
  ];
}

/** What is looked at service by service, or has no part in upstreams. */
const NO_CONTEXT: ReadonlySet<string> = new Set<keyof MeshState>([
  'services',
  'exports',
  'imports',
  'bundles',
  'clusters',
  'withdrawn',
  'policies',
]);

/** Everything else, so that what is added to the state is not forgotten here. */
function contextOf(state: MeshState): unknown[] {
  const common = Object.entries(state).filter(([name]) => !NO_CONTEXT.has(name));
  return [...common.map(([, value]) => value as unknown), ...state.clusters.values()];
}

/** Encoded once, for as long as it is told. */
const encoded = new WeakMap<ToldUpstream, readonly Encoded[]>();

function upstreamResources(told: ToldUpstream): readonly Encoded[] {
  const known = encoded.get(told);
  if (known !== undefined) return known;
  const { upstream, withdrawn } = told;
  const { name, protocol, policy, endpoints } = upstream;
  const identities = [...new Set(endpoints.map(({ spiffeId }) => spiffeId))].sort();
  const resources: readonly Encoded[] = [
    ['cluster', name, formatCluster({ kind: 'upstream', name, protocol, policy, identities })],
    ['load-assignment', name, formatLoadAssignment({ ...upstream, withdrawn })],
  ];
  encoded.set(told, resources);
  return resources;
}

/** One route configuration a scope and port: what is only local never waits for what is imported. */
function routeResources(
  scope: HostScope,
  told: readonly ToldUpstream[],
  before: ToldUpstreams,
): Encoded[] {
  const byPort = new Map<number, Upstream[]>();
  for (const { upstream, isGone } of told) {
    if (isGone) continue;
    const others = byPort.get(upstream.port);
    if (others === undefined) byPort.set(upstream.port, [upstream]);
    else others.push(upstream);
  }
  return [...byPort].map(([port, upstreams]) => {
    const name = `${scope}:${port}`;
    const routes = before.routes(name, upstreams, () =>
      formatHostRoutes({
        name,
        hosts: [...upstreams].sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(hostsOf),
      }),
    );
    return ['route-configuration', name, routes];
  });
}

/** Encoded once, for as long as service and clusters are the same. */
const encodedCallers = new WeakMap<
  LocalService,
  { readonly clusters: string; readonly resources: readonly Encoded[] }
>();

function callersResources({ cluster, clusters: all, services }: MeshState): Encoded[] {
  const names = [...all.values()].map(({ name, trustDomain }) => `${name} ${trustDomain}`);
  const clusters = `${cluster.name}: ${names.join()}`;
  return services.flatMap(service => {
    const known = encodedCallers.get(service);
    if (known?.clusters === clusters) return known.resources;
    const trustDomains = callersOf(service, cluster.name, all.values());
    const resources = service.ports.map(({ port }): Encoded => {
      const name = inboundName(service, port);
      return ['extension-config', name, formatCallers({ name, trustDomains })];
    });
    encodedCallers.set(service, { clusters, resources });
    return resources;
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

function byType(all: readonly Encoded[]): Snapshot['types'] {
  const resources = Object.fromEntries(
    RESOURCE_ORDER.map(type => [type, new Map<string, XdsResource>()]),
  ) as Record<ResourceType, Map<string, XdsResource>>;
  for (const encoded of all) resources[encoded[0]].set(encoded[1], resourceOf(encoded));
  const types = RESOURCE_ORDER.map((type): [ResourceType, TypeSnapshot] => {
    const rows = resources[type];
    const versions: string[] = [];
    for (const { version } of rows.values()) versions.push(version);
    return [type, { version: shortHash(Buffer.from(versions.join())), resources: rows }];
  });
  return Object.fromEntries(types) as Record<ResourceType, TypeSnapshot>;
}

/** Bytes that are kept are hashed once. */
const resourceOfBytes = new WeakMap<Buffer, XdsResource>();

/** The bytes of a resource hold its name. */
function resourceOf([, name, bytes]: Encoded): XdsResource {
  const known = resourceOfBytes.get(bytes);
  if (known !== undefined) return known;
  const resource = { name, version: shortHash(bytes), bytes };
  resourceOfBytes.set(bytes, resource);
  return resource;
}

function shortHash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
