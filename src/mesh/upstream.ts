/**
 * What a proxy needs to reach a service: the agent's decision, the sidecar's input.
 *
 * An upstream is Envoy's cluster: one port of one service, the identities that may answer for it, and
 * its endpoints with the priority they have for this proxy. The gateway's table is the mirror image:
 * which server names it may splice, and to whom.
 */

import type { SocketAddress } from './address.ts';
import type { Locality } from './locality.ts';
import type { Branded, ClusterName, WorkloadName } from './names.ts';
import type { EndpointHash, Protocol } from './service.ts';
import type { SpiffeId, TrustDomain } from './spiffe-id.ts';

/** `outbound|<port>||<host>`: Istio's convention, so its tools read ours. */
export type UpstreamName = Branded<string, 'UpstreamName'>;

export interface Upstream {
  readonly name: UpstreamName;
  /** Host part of the name: `payments.shop.svc.clusterset.local`. */
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly endpoints: readonly UpstreamEndpoint[];
}

export interface UpstreamEndpoint {
  readonly hash: EndpointHash;
  readonly workload: WorkloadName;
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  /** Who must answer: the peer's certificate carries exactly this ID. */
  readonly spiffeId: SpiffeId;
  readonly locality: Locality;
  /** 0 is tried first. */
  readonly priority: number;
  /** Where to connect: the endpoint's sidecar, or any gateway of its cluster. Never empty. */
  readonly addresses: readonly SocketAddress[];
  readonly path: 'direct' | 'gateway';
  /** Server name of the TLS handshake; names the endpoint, so gateways need not decrypt. */
  readonly sni: string;
}

export function upstreamName(host: string, port: number): UpstreamName {
  return `outbound|${port}||${host}` as UpstreamName;
}

/** Undefined when the text is not a name this module makes. */
export function parseUpstreamName(text: string): { host: string; port: number } | undefined {
  const match = /^outbound\|([1-9][0-9]{0,4})\|\|([a-z0-9.-]{1,253})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const port = Number(match[1]);
  return port <= 65535 ? { host: match[2], port } : undefined;
}

/** What a gateway may splice: one exported port of a service of its own cluster. */
export interface GatewayRoute {
  /** Service-level server name, without an endpoint label. */
  readonly sni: string;
  readonly endpoints: readonly GatewayEndpoint[];
}

export interface GatewayEndpoint {
  readonly hash: EndpointHash;
  readonly workload: WorkloadName;
  readonly address: SocketAddress;
}
