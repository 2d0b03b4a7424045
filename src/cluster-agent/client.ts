/**
 * The proxies' door to their cluster's agent: one link that brings everything a proxy needs as
 * Collections, and keeps its identity fresh.
 *
 * The link outlives the agent. It starts from the last good state on disk, keeps what it has when the
 * stream breaks, and resumes with the versions it knows. Nothing here is asked while a request waits.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SocketAddress } from '../mesh/address.ts';
import type { InboundName } from '../mesh/callers.ts';
import { type Collection, type ObservableInput, sameValue } from '../mesh/collection.ts';
import { MeshError } from '../mesh/errors.ts';
import type { Locality } from '../mesh/locality.ts';
import type { ClusterName, WorkloadName } from '../mesh/names.ts';
import type { PathEvidence } from '../mesh/path.ts';
import type { EndpointHash } from '../mesh/service.ts';
import type { SpiffeId, TrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import type { GatewayRoute, Upstream, UpstreamEndpoint, UpstreamName } from '../mesh/upstream.ts';
import { LastKnownGood } from '../runtime/last-known-good.ts';
import type { Logger } from '../runtime/log.ts';
import { ensurePrivateDir } from '../runtime/state-file.ts';
import { supervise } from '../runtime/supervise.ts';
import { loadRoots, TRUST_ROOT_FILE } from '../trust-federation/authority/root-file.ts';
import { TrustRootFile } from '../trust-federation/bundles/trust-root-file.ts';
import { IdentityKeeper } from '../trust-federation/identity/identity-keeper.ts';
import { type SvidSource, saveSvid } from '../trust-federation/identity/svid.ts';
import type { PeerGateways } from '../wire/xds/peer-gateways.ts';
import type { ResourceType } from '../wire/xds/resource.ts';
import { LAST_KNOWN_GOOD_DELAY_MS } from './limits.ts';
import { AdsClient } from './link/ads-client.ts';
import {
  fetchJwtSvid,
  identityDir,
  JOIN_TOKEN_FILE,
  obtainIdentity,
  renewIdentity,
} from './link/identity.ts';
import { Received } from './link/received.ts';
import { Reporter } from './link/reporter.ts';
import type { ServiceLoad } from './proxies/proxy-reports.ts';

export { createJoinToken } from './attestation/join-tokens.ts';
export type { ServiceLoad } from './proxies/proxy-reports.ts';

export interface AgentLinkOptions {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly proxy: ProxyIdentity;
  readonly agent: {
    readonly control: SocketAddress;
    readonly join: SocketAddress;
    /** A service account token's file, shown where there is no join token. */
    readonly kubernetesToken?: string | undefined;
  };
  /** Holds `join-token` and `trust-root.pem` before the first start, what the link keeps after it. */
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
  /** Ends the wait for an agent that does not answer. */
  readonly signal?: AbortSignal;
}

export interface ProxyIdentity {
  readonly kind: 'sidecar' | 'gateway';
  readonly name: WorkloadName;
  readonly spiffeId: SpiffeId;
  readonly locality: Locality;
  /** Sidecars: the ports of services that it serves. */
  readonly inbound?: readonly InboundName[];
}

export interface AgentLink {
  /** Own SVID, renewed at half life. */
  readonly identity: SvidSource;
  /** Own trust domain and those of the other clusters. */
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  /** Sidecars: who may call the ports that it serves. A port is not there until the agent has said. */
  readonly callers: Collection<InboundName, ReadonlySet<TrustDomain>>;
  /** Sidecars: everything callable. Empty in a gateway. */
  readonly upstreams: Collection<UpstreamName, Upstream>;
  /** Sidecars: lower-case `host:port`, and the bare `host` for port 80. Empty in a gateway. */
  readonly hosts: Collection<string, UpstreamName>;
  /** Sidecars: endpoints in force that the agent stopped naming without saying why. */
  readonly held: Collection<UpstreamName, readonly UpstreamEndpoint[]>;
  /** A held endpoint that turns out to be gone is given up. */
  foundUnreachable(upstream: UpstreamName, endpoint: EndpointHash): void;
  /** Gateways: service-level server name → endpoints. Empty in a sidecar. */
  readonly gatewayRoutes: Collection<string, GatewayRoute>;
  /** A JWT-SVID of our own; asks the agent each time. Throws PEER_UNAVAILABLE, LIMIT_EXCEEDED. */
  jwtSvid(audience: readonly string[]): Promise<JwtSvid>;
  /** Sidecars: how busy the application is; asked for at each report to the agent. */
  reportLoads(loads: () => readonly ServiceLoad[]): void;
  /** Gateways: where the other clusters' gateways are. Empty in a sidecar. */
  readonly peerGateways: Collection<ClusterName, PeerGateways>;
  /** The agent is told of these from now on, and at once when `changes` says so. */
  reportPaths(evidence: () => readonly PathEvidence[], changes: ObservableInput): void;
  status(): AgentLinkStatus;
  /** The stream, renewal, last-known-good. Never rejects because the agent is unreachable. */
  run(signal: AbortSignal): Promise<void>;
}

export interface JwtSvid {
  /** JWS compact serialization. */
  readonly token: string;
  readonly expiresMs: number;
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
export async function linkToAgent(options: AgentLinkOptions): Promise<AgentLink> {
  const { proxy, trustDomain, agent, stateDir, log, now } = options;
  await ensurePrivateDir(stateDir);
  const trustRoot = await loadRoots(join(stateDir, TRUST_ROOT_FILE), trustDomain);
  if (trustRoot.trustDomain !== trustDomain) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `trust-root.pem in "${stateDir}" is of "${trustRoot.trustDomain}", not of "${trustDomain}"; copy it from this cluster's agent`,
    );
  }
  const enrolledAgain = existsSync(join(stateDir, JOIN_TOKEN_FILE));
  let received = new Received(proxy.kind, trustRoot);
  const file = new LastKnownGood({
    path: join(stateDir, 'last-known-good'),
    // While something is kept that is no longer said, a restart is to find what was there before.
    serialise: () => (received.held.entries().size === 0 ? received.serialise() : undefined),
    delayMs: LAST_KNOWN_GOOD_DELAY_MS,
    log,
  });
  received.held.observe(() => {
    const held = [...received.held.entries()].map(
      ([name, endpoints]) => `${name}: ${endpoints.length}`,
    );
    if (held.length > 0) log.error({ held }, 'agent lost endpoints without withdrawing them; kept');
    else log.info('every endpoint kept is named or withdrawn again');
  });
  const restored = await file.load(content => {
    const saved = new Received(proxy.kind, trustRoot);
    saved.restore(content);
    const roots = saved.bundles.get(trustDomain)?.x509Authorities ?? [];
    const known = trustRoot.x509Authorities.every(root =>
      roots.some(each => sameValue(each, root)),
    );
    if (enrolledAgain && !known) throw new Error('older than the root it is enrolled with now');
    received = saved;
    return true;
  });
  const initial = await obtainIdentity({
    trustDomain,
    id: proxy.spiffeId,
    join: agent.join,
    kubernetesToken: agent.kubernetesToken,
    stateDir,
    trustRoot,
    log,
    now,
    signal: options.signal ?? new AbortController().signal,
  });
  const roots = (): TrustBundle => received.bundles.get(trustDomain) ?? trustRoot;
  const identity: IdentityKeeper = new IdentityKeeper({
    initial,
    obtain: (csr, signal) =>
      renewIdentity(agent.control, identity.current(), roots(), csr, now, signal),
    save: svid => saveSvid(identityDir(stateDir), svid),
    log,
    now,
  });

  let status: AgentLinkStatus = {
    connected: false,
    sinceMs: now(),
    lastUpdateMs: undefined,
    source: restored === true ? 'disk' : 'none',
  };
  const { inbound = [] } = proxy;
  // To name nothing would ask for everything.
  const ofInbound: readonly ResourceType[] = inbound.length > 0 ? ['extension-config'] : [];
  const types = [...ofInbound, ...(proxy.kind === 'gateway' ? GATEWAY_TYPES : SIDECAR_TYPES)];
  const unanswered = new Set(types);
  const ads = new AdsClient({
    node: {
      id: proxy.name,
      cluster: options.cluster,
      locality: proxy.locality,
      userAgentName: 'isthmus',
    },
    control: agent.control,
    types,
    names: { 'extension-config': inbound },
    identity,
    received,
    applied: type => {
      unanswered.delete(type);
      const source = unanswered.size === 0 ? 'agent' : status.source;
      status = { ...status, lastUpdateMs: now(), source };
      file.touch();
    },
    connection: connected => {
      if (connected !== status.connected) status = { ...status, connected, sinceMs: now() };
    },
    log,
    now,
  });
  const reporter = new Reporter({
    proxy: proxy.name,
    control: agent.control,
    identity,
    bundles: received.bundles,
    log,
    now,
  });
  const trustRootFile = new TrustRootFile({
    stateDir,
    trustDomain,
    bundles: received.bundles,
    log,
  });
  return {
    identity,
    bundles: received.bundles,
    callers: received.callers,
    upstreams: received.upstreams,
    hosts: received.hosts,
    held: received.held,
    foundUnreachable: (upstream, endpoint) => received.foundUnreachable(upstream, endpoint),
    gatewayRoutes: received.gatewayRoutes,
    jwtSvid: async audience => {
      const current = identity.current();
      const issued = await fetchJwtSvid(agent.control, current, roots(), audience, now);
      return { token: issued.token, expiresMs: Number(issued.expiresMs) };
    },
    reportLoads: loads => reporter.reportLoads(loads),
    peerGateways: received.peerGateways,
    reportPaths: (evidence, changes) => reporter.reportPaths(evidence, changes),
    status: () => status,
    run: signal => supervise([ads, identity, reporter, file, trustRootFile], signal),
  };
}

const SIDECAR_TYPES: readonly ResourceType[] = [
  'secret',
  'cluster',
  'load-assignment',
  'route-configuration',
];
const GATEWAY_TYPES: readonly ResourceType[] = ['secret', 'cluster', 'load-assignment', 'listener'];
