/**
 * The proxies' door to their cluster's agent: one link that brings everything a proxy needs as
 * Collections, and keeps its identity fresh.
 *
 * The link outlives the agent. It starts from the last good state on disk, keeps what it has when the
 * stream breaks, and resumes with the versions it knows. Nothing here is asked while a request waits.
 */

import type { SocketAddress } from '../mesh/address.ts';
import type { Collection } from '../mesh/collection.ts';
import type { Locality } from '../mesh/locality.ts';
import type { ClusterName, WorkloadName } from '../mesh/names.ts';
import type { SpiffeId, TrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import type { GatewayRoute, Upstream, UpstreamName } from '../mesh/upstream.ts';
import type { Logger } from '../runtime/log.ts';
import type { SvidSource } from '../trust-federation/svid.ts';

export interface AgentLinkOptions {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly proxy: ProxyIdentity;
  readonly agent: { readonly control: SocketAddress; readonly join: SocketAddress };
  /** Holds `join-token` and `trust-root.pem` before the first start, what the link keeps after it. */
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface ProxyIdentity {
  readonly kind: 'sidecar' | 'gateway';
  readonly name: WorkloadName;
  readonly spiffeId: SpiffeId;
  readonly locality: Locality;
}

export interface AgentLink {
  /** Own SVID, renewed at half life. */
  readonly identity: SvidSource;
  /** Own trust domain and those of the other clusters. */
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  /** Sidecars: everything callable. Empty in a gateway. */
  readonly upstreams: Collection<UpstreamName, Upstream>;
  /** Sidecars: lower-case `host:port`, and the bare `host` for port 80. Empty in a gateway. */
  readonly hosts: Collection<string, UpstreamName>;
  /** Gateways: service-level server name → endpoints. Empty in a sidecar. */
  readonly gatewayRoutes: Collection<string, GatewayRoute>;
  status(): AgentLinkStatus;
  /** The stream, renewal, last-known-good. Never rejects because the agent is unreachable. */
  run(signal: AbortSignal): Promise<void>;
}

export interface AgentLinkStatus {
  readonly connected: boolean;
  /** When `connected` last changed. */
  readonly sinceMs: number;
  readonly lastUpdateMs: number | undefined;
  /** Where the state in force came from. */
  readonly source: 'agent' | 'disk' | 'none';
}

/**
 * Resolves once there is an identity: from disk, or by redeeming the join token (retried while the
 * agent is unreachable). Throws TOKEN_USED, TOKEN_EXPIRED, TOKEN_UNKNOWN and the FILE_ codes.
 */
export declare function linkToAgent(options: AgentLinkOptions): Promise<AgentLink>;

/** Makes a one-time token for one identity in an agent's state directory; returns its secret. */
export declare function createJoinToken(options: {
  readonly agentStateDir: string;
  readonly id: SpiffeId;
  readonly ttlMs: number;
  readonly now: () => number;
}): Promise<string>;
