/**
 * Endpoints: Envoy's ClusterLoadAssignment, for sidecars with everything needed to reach and verify an
 * endpoint, for gateways with the address of its sidecar.
 *
 * Several gateways of one endpoint are its `additional_addresses`. Endpoints of one priority and
 * locality form a group, in order of first appearance, so what is sorted by both reads back the same.
 */

import { type ClusterName, parseClusterName, parseWorkloadName } from '../../mesh/names.ts';
import { type EndpointHash, endpointHash } from '../../mesh/service.ts';
import { requireSpiffeId, trustDomainOf } from '../../mesh/spiffe-id.ts';
import {
  DEFAULT_OVERPROVISIONING,
  type GatewayEndpoint,
  type Upstream,
  type UpstreamEndpoint,
} from '../../mesh/upstream.ts';
import { ClusterLoadAssignment } from '../generated/envoy/config/endpoint/v3/endpoint.ts';
import type {
  LbEndpoint,
  LocalityLbEndpoints,
} from '../generated/envoy/config/endpoint/v3/endpoint_components.ts';
import { parseSni } from '../sni.ts';
import { formatMetadata, metadataNumber, metadataReader } from './metadata.ts';
import { encodeMessage, FieldError, parseResource, required } from './resource.ts';
import { formatSocketAddress, readSocketAddress } from './socket-address.ts';

export interface LoadAssignment<N extends string, E> {
  readonly name: N;
  readonly endpoints: readonly E[];
}

/** The part of an upstream that is not its cluster. */
export interface UpstreamAssignment
  extends Pick<Upstream, 'name' | 'overprovisioning' | 'endpoints'> {
  /** Endpoints that were there and have been taken back on purpose; absent: none lately. */
  readonly withdrawn?: readonly EndpointHash[];
}

export function formatLoadAssignment(assignment: UpstreamAssignment): Buffer {
  const { overprovisioning } = assignment;
  const factor = overprovisioning[0] ?? DEFAULT_OVERPROVISIONING;
  const groups = new Map<string, LocalityLbEndpoints>();
  for (const endpoint of assignment.endpoints) {
    const { locality, priority } = endpoint;
    const key = `${priority}/${locality.region}/${locality.zone}`;
    const own = overprovisioning[priority] ?? DEFAULT_OVERPROVISIONING;
    const group: LocalityLbEndpoints = groups.get(key) ?? {
      locality,
      priority,
      lbEndpoints: [],
      metadata: own === factor ? undefined : formatMetadata({ overprovisioning: own }),
    };
    groups.set(key, group);
    group.lbEndpoints.push(formatEndpoint(endpoint));
  }
  return encodeMessage(ClusterLoadAssignment, {
    clusterName: assignment.name,
    endpoints: [...groups.values(), ...formatWithdrawn(assignment.withdrawn)],
    policy: { overprovisioningFactor: factor },
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseLoadAssignment(bytes: Uint8Array): UpstreamAssignment {
  return parseGroups(bytes, readEndpoint, message => ({
    ...readOverprovisioning(message),
    ...readWithdrawn(message),
  }));
}

export function formatGatewayAssignment(
  assignment: LoadAssignment<string, GatewayEndpoint>,
): Buffer {
  const lbEndpoints = assignment.endpoints.map(endpoint => ({
    hostIdentifier: {
      $case: 'endpoint' as const,
      value: { address: formatSocketAddress(endpoint.address), additionalAddresses: [] },
    },
    metadata: formatMetadata({ workload: endpoint.workload, hash: endpoint.hash }),
    loadBalancingWeight: undefined,
  }));
  return encodeMessage(ClusterLoadAssignment, {
    clusterName: assignment.name,
    endpoints: [{ locality: undefined, priority: 0, lbEndpoints, metadata: undefined }],
    policy: undefined,
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseGatewayAssignment(bytes: Uint8Array): LoadAssignment<string, GatewayEndpoint> {
  return parseGroups(bytes, readGatewayEndpoint, () => ({}));
}

function readGatewayEndpoint(
  endpoint: LbEndpoint,
  _group: LocalityLbEndpoints,
  path: string,
): GatewayEndpoint {
  const field = metadataReader(endpoint.metadata, `${path}.metadata`);
  return {
    hash: readHash(field('hash'), `${path}.metadata.isthmus.hash`),
    workload: parseWorkloadName(field('workload')),
    address: readSocketAddress(hostOf(endpoint, path).address, `${path}.endpoint.address`),
  };
}

function formatEndpoint(endpoint: UpstreamEndpoint): LbEndpoint {
  const [address, ...additional] = endpoint.addresses;
  return {
    hostIdentifier: {
      $case: 'endpoint',
      value: {
        address: address === undefined ? undefined : formatSocketAddress(address),
        additionalAddresses: additional.map(more => ({ address: formatSocketAddress(more) })),
      },
    },
    metadata: formatMetadata({
      workload: endpoint.workload,
      cluster: endpoint.cluster,
      path: endpoint.path,
      sni: endpoint.sni,
      spiffe_id: endpoint.spiffeId,
      ...(endpoint.availability === 100 ? {} : { availability: endpoint.availability }),
    }),
    loadBalancingWeight: endpoint.weight,
  };
}

function readEndpoint(
  endpoint: LbEndpoint,
  group: LocalityLbEndpoints,
  path: string,
): UpstreamEndpoint {
  const field = metadataReader(endpoint.metadata, `${path}.metadata`);
  const host = hostOf(endpoint, path);
  const workload = parseWorkloadName(field('workload'));
  const cluster: ClusterName = parseClusterName(field('cluster'));
  const spiffeId = requireSpiffeId(field('spiffe_id'));
  const via = field('path');
  if (via !== 'direct' && via !== 'gateway') {
    throw new FieldError(`${path}.metadata.isthmus.path`, 'must be direct or gateway');
  }
  const sni = field('sni');
  if (parseSni(sni) === undefined) {
    throw new FieldError(`${path}.metadata.isthmus.sni`, 'is not a server name of the mesh');
  }
  return {
    hash: endpointHash(cluster, workload),
    workload,
    cluster,
    trustDomain: trustDomainOf(spiffeId),
    spiffeId,
    locality: { region: group.locality?.region ?? '', zone: group.locality?.zone ?? '' },
    priority: group.priority,
    weight: endpoint.loadBalancingWeight ?? 1,
    availability: readAvailability(endpoint, path),
    addresses: [
      readSocketAddress(host.address, `${path}.endpoint.address`),
      ...host.additionalAddresses.map((more, i) =>
        readSocketAddress(more.address, `${path}.endpoint.additional_addresses[${i}].address`),
      ),
    ],
    path: via,
    sni,
  };
}

function readAvailability({ metadata }: LbEndpoint, path: string): number {
  const availability = metadataNumber(metadata, `${path}.metadata`, 'availability') ?? 100;
  if (availability <= 100) return availability;
  throw new FieldError(`${path}.metadata.isthmus.availability`, 'must be 0 to 100');
}

/** A group without a place or endpoints, which others skip. */
function formatWithdrawn(withdrawn: readonly EndpointHash[] = []): LocalityLbEndpoints[] {
  if (withdrawn.length === 0) return [];
  const metadata = formatMetadata({ withdrawn: withdrawn.join(',') });
  return [{ locality: undefined, priority: 0, lbEndpoints: [], metadata }];
}

function readWithdrawn({
  endpoints,
}: ClusterLoadAssignment): Pick<UpstreamAssignment, 'withdrawn'> {
  const group = endpoints.findIndex(isWithdrawnGroup);
  if (group < 0) return {};
  const path = `endpoints[${group}].metadata`;
  const hashes = metadataReader(endpoints[group]?.metadata, path)('withdrawn').split(',');
  return { withdrawn: hashes.map(hash => readHash(hash, `${path}.isthmus.withdrawn`)) };
}

function isWithdrawnGroup({ lbEndpoints, locality }: LocalityLbEndpoints): boolean {
  return lbEndpoints.length === 0 && locality === undefined;
}

function readHash(hash: string, path: string): EndpointHash {
  if (/^[0-9a-f]{16}$/.test(hash)) return hash as EndpointHash;
  throw new FieldError(path, 'must be 16 hex digits');
}

function readOverprovisioning({
  endpoints,
  policy,
}: ClusterLoadAssignment): Pick<Upstream, 'overprovisioning'> {
  const factor = policy?.overprovisioningFactor ?? DEFAULT_OVERPROVISIONING;
  const own = new Map<number, number>();
  for (const [g, group] of endpoints.entries()) {
    if (isWithdrawnGroup(group)) continue;
    const { priority, metadata } = group;
    const path = `endpoints[${g}].metadata`;
    own.set(priority, metadataNumber(metadata, path, 'overprovisioning') ?? factor);
  }
  const levels = Math.max(-1, ...own.keys()) + 1;
  const overprovisioning = Array.from({ length: levels }, (_, level) => own.get(level) ?? factor);
  return { overprovisioning };
}

function hostOf(endpoint: LbEndpoint, path: string) {
  return required(endpoint.hostIdentifier, `${path}.endpoint`).value;
}

function parseGroups<N extends string, E, M>(
  bytes: Uint8Array,
  read: (endpoint: LbEndpoint, group: LocalityLbEndpoints, path: string) => E,
  readMore: (message: ClusterLoadAssignment) => M,
): LoadAssignment<N, E> & M {
  return parseResource(
    'load-assignment',
    ClusterLoadAssignment,
    bytes,
    m => m.clusterName,
    message => {
      if (message.clusterName === '') throw new FieldError('cluster_name', 'missing');
      const endpoints = message.endpoints.flatMap((group, g) => {
        // Envoy's own bound; a priority is an index here.
        if (group.priority > PRIORITY_MAX) {
          throw new FieldError(`endpoints[${g}].priority`, `must be at most ${PRIORITY_MAX}`);
        }
        return group.lbEndpoints.map((endpoint, e) =>
          read(endpoint, group, `endpoints[${g}].lb_endpoints[${e}]`),
        );
      });
      return { ...readMore(message), name: message.clusterName as N, endpoints };
    },
  );
}

const PRIORITY_MAX = 128;
