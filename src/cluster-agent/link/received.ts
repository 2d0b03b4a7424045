/**
 * What the agent has sent, as resources and as Collections.
 *
 * Each resource is read when it arrives; one that cannot be read is refused by name and the one it would
 * replace stays. An upstream appears once both its cluster and its endpoints are there. A change costs
 * what it changes, not what there is: a proxy serves nobody meanwhile. The resources themselves are what
 * goes to disk, so a restart reads them exactly as they came.
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
  upstreamName,
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
  /** There are hosts that are in force although they are no longer said. */
  #keepsHosts = false;

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
    this.#publishUpstreams([]);
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
    this.#publish(type, [
      ...response.resources.map(({ name }) => name),
      ...response.removedResources,
    ]);
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
    for (const type of RESOURCE_ORDER) this.#publish(type, this.#rows(type).keys());
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
      case 'cluster': {
        const cluster = parseCluster(bytes);
        if (cluster.name !== name)
          throw new Error(`cluster "${name}" calls itself "${cluster.name}"`);
        this.#clusters.set(name, cluster);
        return;
      }
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

  /** `names`: the resources that came or went. */
  #publish(type: ResourceType, names: Iterable<string>): void {
    switch (type) {
      case 'extension-config':
        this.#callers.replaceAll(this.#callersByName.values());
        return;
      case 'secret':
        if (this.#secrets.size > 0) {
          const bundles = [...this.#secrets.values()].flat();
          this.#bundles.replaceAll(bundles.map(bundle => [bundle.trustDomain, bundle]));
        }
        return;
      case 'cluster':
      case 'load-assignment':
        if (this.#kind === 'sidecar') this.#publishUpstreams(names);
        else {
          this.#peerGateways.replaceAll(
            [...this.#peers.values()].map(peer => [peer.cluster, peer]),
          );
          this.#publishRoutes();
        }
        return;
      case 'listener':
        this.#publishRoutes();
        return;
      case 'route-configuration':
        this.#publishHosts();
        return;
    }
  }

  /** As said, but for what a sudden loss may not take (mesh/shrinkage.ts). */
  #publishUpstreams(names: Iterable<string>): void {
    const said = new Map<UpstreamName, SaidUpstream | undefined>();
    // What is held is judged with whatever changes.
    for (const name of [...names, ...this.#held.entries().keys()]) {
      const parsed = parseUpstreamName(name);
      if (parsed === undefined) continue;
      said.set(upstreamName(parsed.host, parsed.port), this.#assemble(name, parsed));
    }
    const judged = [...brake(this.#upstreams.entries(), said, this.#unreachable)];
    this.#upstreams.apply(
      judged.map(([key, { upstream: value }]) =>
        value === undefined ? { kind: 'delete', key } : { kind: 'put', key, value },
      ),
    );
    this.#held.apply(
      judged.map(([key, { held: value }]) =>
        value.length === 0 ? { kind: 'delete', key } : { kind: 'put', key, value },
      ),
    );
    if (this.#held.entries().size === 0) this.#unreachable.clear();
    if (this.#keepsHosts) this.#publishHosts();
  }

  /** An endpoint whose identity the cluster does not list may not answer for it, and is left out. */
  #assemble(
    name: string,
    parsed: { readonly host: string; readonly port: number },
  ): SaidUpstream | undefined {
    const cluster = this.#clusters.get(name);
    const assignment = this.#assignments.get(name);
    if (cluster?.kind !== 'upstream' || assignment === undefined) return undefined;
    const { protocol, policy, identities } = cluster;
    const allowed = new Set(identities);
    const upstream = {
      name: cluster.name,
      ...parsed,
      protocol,
      policy,
      overprovisioning: assignment.overprovisioning,
      endpoints: assignment.endpoints.filter(({ spiffeId }) => allowed.has(spiffeId)),
    };
    // Named, but not with an identity that may answer: that is meant, too.
    const named = assignment.endpoints.map(({ hash }) => hash);
    return { upstream, withdrawn: new Set([...named, ...(assignment.withdrawn ?? [])]) };
  }

  /** Whoever takes a service back leaves its upstream without endpoints first; until then its host stays. */
  #publishHosts(): void {
    const hosts = new Map([...this.#hostRoutes.values()].flatMap(each => each.hosts));
    const said = hosts.size;
    for (const [host, name] of this.#hosts.entries()) {
      const isServed = (this.#upstreams.get(name)?.endpoints.length ?? 0) > 0;
      if (isServed && !hosts.has(host)) hosts.set(host, name);
    }
    this.#keepsHosts = hosts.size > said;
    this.#hosts.replaceAll(hosts);
  }

  #publishRoutes(): void {
    this.#routes.replaceAll(
      [...this.#chains.values()].flat().flatMap(({ sni, cluster }) => {
        const endpoints = this.#gatewayEndpoints.get(cluster);
        if (endpoints === undefined) return [];
        const before = this.#routes.get(sni);
        return [[sni, before?.endpoints === endpoints ? before : { sni, endpoints }] as const];
      }),
    );
  }

  #rows(type: ResourceType): Map<string, XdsResource> {
    const rows = this.#resources.get(type);
    if (rows === undefined) throw new Error(`no rows for ${type}`);
    return rows;
  }
}
