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
  readonly policy: UpstreamPolicy;
  /**
   * Of each priority, in percent: with a healthy share of 100 / it, the level still carries everything
   * meant for it; below that, in proportion, and the rest spills to the next.
   */
  readonly overprovisioning: readonly number[];
  readonly endpoints: readonly UpstreamEndpoint[];
}

export type Balancing = 'round-robin' | 'least-request';

/** How the proxies of the calling cluster treat a service. */
export interface UpstreamPolicy {
  readonly balancing: Balancing;
  /** With a smaller healthy share, what was ejected is used again. */
  readonly panicBelowPercent: number;
  /** Of the endpoints; one may always be ejected. */
  readonly ejectedPercentMax: number;
  /** Bad answers in a row, or calls broken off in a row, that eject an endpoint. */
  readonly ejectAfterFailures: number;
  /** From a request to the head of its answer, unless the request says how long. */
  readonly timeoutMs: number;
  /** After which an idempotent request is tried elsewhere. */
  readonly tryTimeoutMs: number;
}

export const DEFAULT_POLICY: UpstreamPolicy = {
  balancing: 'round-robin',
  panicBelowPercent: 50,
  ejectedPercentMax: 50,
  ejectAfterFailures: 5,
  timeoutMs: 60_000,
  tryTimeoutMs: 2_500,
};

/** Envoy's: a level spills below a healthy share of 72 %. */
export const DEFAULT_OVERPROVISIONING = 140;

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
  /** Relative inside the priority, at least 1. */
  readonly weight: number;
  /** Percent of what it would otherwise be given; the rest goes to the next priority. */
  readonly availability: number;
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
