/**
 * What the agent has sent, as resources and as Collections.
 *
 * Each resource is read when it arrives; one that cannot be read is refused by name and the one it would
 * replace stays. An upstream appears once both its cluster and its endpoints are there. The resources
 * themselves are what goes to disk, so a restart reads them exactly as they came.
 */

import type { InboundName } from '../../mesh/callers.ts';
import { type Collection, Table } from '../../mesh/collection.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { EndpointHash } from '../../mesh/service.ts';
import { brake, endpointKey, type SaidUpstream } from '../../mesh/shrinkage.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import {
  type GatewayEndpoint,
  type GatewayRoute,
  parseUpstreamName,
  type Upstream,
  type UpstreamEndpoint,
  type UpstreamName,
} from '../../mesh/upstream.ts';
import { DeltaDiscoveryResponse } from '../../wire/generated/envoy/service/discovery/v3/discovery.ts';
import { parseCallers } from '../../wire/xds/callers.ts';
import { parseCluster, type XdsCluster } from '../../wire/xds/cluster.ts';
import { type GatewayChain, parseGatewayListener } from '../../wire/xds/listener.ts';
import {
  parseGatewayAssignment,
  parseLoadAssignment,
  type UpstreamAssignment,
} from '../../wire/xds/load-assignment.ts';
import {
  isPeerGatewaysName,
  type PeerGateways,
  parsePeerGateways,
} from '../../wire/xds/peer-gateways.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPE_URLS,
  type ResourceType,
  resourceTypeOf,
  type XdsResource,
} from '../../wire/xds/resource.ts';
import { type HostRoutes, parseHostRoutes } from '../../wire/xds/route-configuration.ts';
import { parseBundles } from '../../wire/xds/secret.ts';

export class Received {
  readonly #kind: 'sidecar' | 'gateway';
  readonly #resources = new Map<ResourceType, Map<string, XdsResource>>();
  readonly #callersByName = new Map<string, readonly [InboundName, ReadonlySet<TrustDomain>]>();
  readonly #clusters = new Map<string, XdsCluster>();
  readonly #assignments = new Map<string, UpstreamAssignment>();
  readonly #gatewayEndpoints = new Map<string, readonly GatewayEndpoint[]>();
  readonly #peers = new Map<string, PeerGateways>();
  readonly #hostRoutes = new Map<string, HostRoutes>();
  readonly #chains = new Map<string, readonly GatewayChain[]>();
  readonly #secrets = new Map<string, readonly TrustBundle[]>();
  readonly #callers = new Table<InboundName, ReadonlySet<TrustDomain>>('callers');
  readonly #upstreams = new Table<UpstreamName, Upstream>('upstreams');
  readonly #held = new Table<UpstreamName, readonly UpstreamEndpoint[]>('held');
  readonly #unreachable = new Set<string>();
  readonly #hosts = new Table<string, UpstreamName>('hosts');
  readonly #routes = new Table<string, GatewayRoute>('gateway-routes');
  readonly #peerGateways = new Table<ClusterName, PeerGateways>('peer-gateways');
  readonly #bundles = new Table<TrustDomain, TrustBundle>('bundles');

  /** `root` stands for our own trust domain until the agent sends its bundles. */
  constructor(kind: 'sidecar' | 'gateway', root: TrustBundle) {
    this.#kind = kind;
    for (const type of RESOURCE_ORDER) this.#resources.set(type, new Map());
    this.#bundles.put(root.trustDomain, root);
  }

  get upstreams(): Collection<UpstreamName, Upstream> {
    return this.#upstreams;
  }

  /** What is in force although the agent no longer says it. */
  get held(): Collection<UpstreamName, readonly UpstreamEndpoint[]> {
    return this.#held;
  }

  /** The proxy cannot reach an endpoint; one that is only held goes. */
  foundUnreachable(upstream: UpstreamName, endpoint: EndpointHash): void {
    if (this.#held.get(upstream)?.some(({ hash }) => hash === endpoint) !== true) return;
    this.#unreachable.add(endpointKey(upstream, endpoint));
    this.#publish();
  }

  get hosts(): Collection<string, UpstreamName> {
    return this.#hosts;
  }

  get gatewayRoutes(): Collection<string, GatewayRoute> {
    return this.#routes;
  }

  get peerGateways(): Collection<ClusterName, PeerGateways> {
    return this.#peerGateways;
  }

  get callers(): Collection<InboundName, ReadonlySet<TrustDomain>> {
    return this.#callers;
  }

  get bundles(): Collection<TrustDomain, TrustBundle> {
    return this.#bundles;
  }

  /** For `initial_resource_versions`. */
  versions(type: ResourceType): Record<string, string> {
    return Object.fromEntries(
      [...this.#rows(type).values()].map(({ name, version }) => [name, version]),
    );
  }

  /** Returns what is wrong with the resources it refused; the others are in force. */
  apply(type: ResourceType, response: DeltaDiscoveryResponse): string[] {
    const problems = this.#store(type, response);
    this.#publish();
    return problems;
  }

  serialise(): Uint8Array {
    const resources = RESOURCE_ORDER.flatMap(type =>
      [...this.#rows(type).values()].map(({ name, version, bytes }) => ({
        name,
        version,
        resource: { typeUrl: RESOURCE_TYPE_URLS[type], value: bytes },
      })),
    );
    return DeltaDiscoveryResponse.encode({
      systemVersionInfo: '',
      typeUrl: '',
      nonce: '',
      resources,
      removedResources: [],
    }).finish();
  }

  /** What `serialise` wrote. Throws for content in which anything cannot be read. */
  restore(content: Uint8Array): void {
    const response = DeltaDiscoveryResponse.decode(content);
    for (const type of RESOURCE_ORDER) {
      const ofType = response.resources.filter(
        ({ resource }) => resource?.typeUrl === RESOURCE_TYPE_URLS[type],
      );
      const [problem] = this.#store(type, { ...response, resources: ofType });
      if (problem !== undefined) throw new Error(problem);
    }
    this.#publish();
  }

  #store(type: ResourceType, response: DeltaDiscoveryResponse): string[] {
    const problems: string[] = [];
    for (const { name, version, resource } of response.resources) {
      try {
        if (resource === undefined || resourceTypeOf(resource.typeUrl) !== type) {
          throw new Error(`resource "${name}" is not a ${type}`);
        }
        this.#read(type, name, resource.value);
        this.#rows(type).set(name, { name, version, bytes: resource.value });
      } catch (error) {
        problems.push(messageOf(error));
      }
    }
    for (const name of response.removedResources) {
      this.#rows(type).delete(name);
      for (const parsed of this.#parsed(type)) parsed.delete(name);
    }
    return problems;
  }

  #read(type: ResourceType, name: string, bytes: Uint8Array): void {
    switch (type) {
      case 'extension-config': {
        const { name: inbound, trustDomains } = parseCallers(bytes);
        this.#callersByName.set(name, [inbound, new Set(trustDomains)]);
        return;
      }
      case 'secret':
        this.#secrets.set(name, parseBundles(bytes));
        return;
      case 'cluster':
        this.#clusters.set(name, parseCluster(bytes));
        return;
      case 'load-assignment':
        if (this.#kind === 'sidecar') {
          this.#assignments.set(name, parseLoadAssignment(bytes));
        } else if (isPeerGatewaysName(name)) {
          this.#peers.set(name, parsePeerGateways(bytes));
        } else this.#gatewayEndpoints.set(name, parseGatewayAssignment(bytes).endpoints);
        return;
      case 'listener':
        this.#chains.set(name, parseGatewayListener(bytes));
        return;
      case 'route-configuration':
        this.#hostRoutes.set(name, parseHostRoutes(bytes));
        return;
    }
  }

  #parsed(type: ResourceType): readonly Map<string, unknown>[] {
    switch (type) {
      case 'extension-config':
        return [this.#callersByName];
      case 'secret':
        return [this.#secrets];
      case 'cluster':
        return [this.#clusters];
      case 'load-assignment':
        return [this.#assignments, this.#gatewayEndpoints, this.#peers];
      case 'listener':
        return [this.#chains];
      case 'route-configuration':
        return [this.#hostRoutes];
    }
  }

  #publish(): void {
    this.#callers.replaceAll(this.#callersByName.values());
    // Bundles first: who may be spoken to is known before there is somebody to speak to.
    const bundles = [...this.#secrets.values()].flat();
    if (this.#secrets.size > 0) {
      this.#bundles.replaceAll(bundles.map(bundle => [bundle.trustDomain, bundle]));
    }
    this.#publishUpstreams();
    const hosts = new Map([...this.#hostRoutes.values()].flatMap(each => each.hosts));
    // Whoever takes a service back leaves its upstream without endpoints first.
    for (const [host, name] of this.#hosts.entries()) {
      const isServed = (this.#upstreams.get(name)?.endpoints.length ?? 0) > 0;
      if (isServed && !hosts.has(host)) hosts.set(host, name);
    }
    this.#hosts.replaceAll(hosts);
    this.#peerGateways.replaceAll([...this.#peers.values()].map(peer => [peer.cluster, peer]));
    this.#routes.replaceAll(
      [...this.#chains.values()].flat().flatMap(({ sni, cluster }) => {
        const endpoints = this.#gatewayEndpoints.get(cluster);
        return endpoints === undefined ? [] : [[sni, { sni, endpoints }] as const];
      }),
    );
  }

  /** As said, but for what a sudden loss may not take (mesh/shrinkage.ts). */
  #publishUpstreams(): void {
    const said = new Map<UpstreamName, SaidUpstream>();
    for (const cluster of this.#clusters.values()) {
      const upstream = this.#assemble(cluster);
      if (upstream === undefined) continue;
      const assignment = this.#assignments.get(cluster.name);
      // Named, but not with an identity that may answer: that is meant, too.
      const named = assignment?.endpoints.map(({ hash }) => hash) ?? [];
      const withdrawn = new Set([...named, ...(assignment?.withdrawn ?? [])]);
      said.set(upstream.name, { upstream, withdrawn });
    }
    const { upstreams, held } = brake(this.#upstreams.entries(), said, this.#unreachable);
    this.#upstreams.replaceAll(upstreams);
    this.#held.replaceAll(held);
    if (held.size === 0) this.#unreachable.clear();
  }

  /** An endpoint whose identity the cluster does not list may not answer for it, and is left out. */
  #assemble(cluster: XdsCluster): Upstream | undefined {
    const assignment = this.#assignments.get(cluster.name);
    if (cluster.kind !== 'upstream' || assignment === undefined) return undefined;
    const { name, protocol, policy, identities } = cluster;
    const parsed = parseUpstreamName(name);
    if (parsed === undefined) return undefined;
    const allowed = new Set(identities);
    return {
      name,
      ...parsed,
      protocol,
      policy,
      overprovisioning: assignment.overprovisioning,
      endpoints: assignment.endpoints.filter(({ spiffeId }) => allowed.has(spiffeId)),
    };
  }

  #rows(type: ResourceType): Map<string, XdsResource> {
    const rows = this.#resources.get(type);
    if (rows === undefined) throw new Error(`no rows for ${type}`);
    return rows;
  }
}
