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
import type { GatewayEndpoint, UpstreamEndpoint, UpstreamName } from '../../mesh/upstream.ts';
import { ClusterLoadAssignment } from '../generated/envoy/config/endpoint/v3/endpoint.ts';
import type {
  LbEndpoint,
  LocalityLbEndpoints,
} from '../generated/envoy/config/endpoint/v3/endpoint_components.ts';
import { parseSni } from '../sni.ts';
import { formatMetadata, metadataReader } from './metadata.ts';
import { encodeMessage, FieldError, parseResource, required } from './resource.ts';
import { formatSocketAddress, readSocketAddress } from './socket-address.ts';

export interface LoadAssignment<N extends string, E> {
  readonly name: N;
  readonly endpoints: readonly E[];
}

export function formatLoadAssignment(
  assignment: LoadAssignment<UpstreamName, UpstreamEndpoint>,
): Buffer {
  const groups = new Map<string, LocalityLbEndpoints>();
  for (const endpoint of assignment.endpoints) {
    const { locality, priority } = endpoint;
    const key = `${priority}/${locality.region}/${locality.zone}`;
    const group: LocalityLbEndpoints = groups.get(key) ?? { locality, priority, lbEndpoints: [] };
    groups.set(key, group);
    group.lbEndpoints.push(formatEndpoint(endpoint));
  }
  return encodeMessage(ClusterLoadAssignment, {
    clusterName: assignment.name,
    endpoints: [...groups.values()],
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseLoadAssignment(
  bytes: Uint8Array,
): LoadAssignment<UpstreamName, UpstreamEndpoint> {
  return parseGroups(bytes, (endpoint, group, path) => readEndpoint(endpoint, group, path));
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
  }));
  return encodeMessage(ClusterLoadAssignment, {
    clusterName: assignment.name,
    endpoints: [{ locality: undefined, priority: 0, lbEndpoints }],
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parseGatewayAssignment(bytes: Uint8Array): LoadAssignment<string, GatewayEndpoint> {
  return parseGroups(bytes, (endpoint, _group, path) => {
    const field = metadataReader(endpoint.metadata, `${path}.metadata`);
    const hash = field('hash');
    if (!/^[0-9a-f]{16}$/.test(hash)) {
      throw new FieldError(`${path}.metadata.isthmus.hash`, 'must be 16 hex digits');
    }
    return {
      hash: hash as EndpointHash,
      workload: parseWorkloadName(field('workload')),
      address: readSocketAddress(hostOf(endpoint, path).address, `${path}.endpoint.address`),
    };
  });
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
    }),
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

function hostOf(endpoint: LbEndpoint, path: string) {
  return required(endpoint.hostIdentifier, `${path}.endpoint`).value;
}

function parseGroups<N extends string, E>(
  bytes: Uint8Array,
  read: (endpoint: LbEndpoint, group: LocalityLbEndpoints, path: string) => E,
): LoadAssignment<N, E> {
  return parseResource(
    'load-assignment',
    ClusterLoadAssignment,
    bytes,
    m => m.clusterName,
    message => {
      if (message.clusterName === '') throw new FieldError('cluster_name', 'missing');
      const endpoints = message.endpoints.flatMap((group, g) =>
        group.lbEndpoints.map((endpoint, e) =>
          read(endpoint, group, `endpoints[${g}].lb_endpoints[${e}]`),
        ),
      );
      return { name: message.clusterName as N, endpoints };
    },
  );
}
