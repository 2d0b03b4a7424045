/**
 * The gateways of another cluster, for our own gateways to probe: a ClusterLoadAssignment under the
 * server name of its probes.
 */

import type { SocketAddress } from '../../mesh/address.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { parseTrustDomain, type TrustDomain } from '../../mesh/spiffe-id.ts';
import { ClusterLoadAssignment } from '../generated/envoy/config/endpoint/v3/endpoint.ts';
import { formatProbeSni, parseProbeSni } from '../sni.ts';
import { formatMetadata, metadataReader } from './metadata.ts';
import { encodeMessage, FieldError, parseResource, required } from './resource.ts';
import { formatSocketAddress, readSocketAddress } from './socket-address.ts';

export interface PeerGateways {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly addresses: readonly SocketAddress[];
}

export function isPeerGatewaysName(name: string): boolean {
  return parseProbeSni(name) !== undefined;
}

export function formatPeerGateways({ cluster, trustDomain, addresses }: PeerGateways): Buffer {
  const lbEndpoints = addresses.map(address => ({
    hostIdentifier: {
      $case: 'endpoint' as const,
      value: { address: formatSocketAddress(address), additionalAddresses: [] },
    },
    metadata: undefined,
    loadBalancingWeight: undefined,
  }));
  const metadata = formatMetadata({ trust_domain: trustDomain });
  return encodeMessage(ClusterLoadAssignment, {
    clusterName: formatProbeSni(cluster),
    endpoints: [{ locality: undefined, priority: 0, lbEndpoints, metadata }],
    policy: undefined,
  });
}

/** Throws PROTOCOL_VIOLATION. */
export function parsePeerGateways(bytes: Uint8Array): PeerGateways {
  return parseResource(
    'load-assignment',
    ClusterLoadAssignment,
    bytes,
    m => m.clusterName,
    message => {
      const cluster = parseProbeSni(message.clusterName);
      if (cluster === undefined) throw new FieldError('cluster_name', 'is no name of a probe');
      const [group] = message.endpoints;
      const field = metadataReader(group?.metadata, 'endpoints[0].metadata');
      const addresses = (group?.lbEndpoints ?? []).map((endpoint, i) => {
        const path = `endpoints[0].lb_endpoints[${i}].endpoint`;
        return readSocketAddress(
          required(endpoint.hostIdentifier, path).value.address,
          `${path}.address`,
        );
      });
      return { cluster, trustDomain: parseTrustDomain(field('trust_domain')), addresses };
    },
  );
}
