/**
 * What others connect to: proxies to the control port, those without an identity to the join port, and
 * whoever wants this cluster's bundle to its endpoint. Each refusal is counted and remembered.
 */

import type { SocketAddress } from '../mesh/address.ts';
import type { Logger } from '../runtime/log.ts';
import type { RpcService } from '../runtime/rpc-server.ts';
import type { Task } from '../runtime/supervise.ts';
import { inTrustDomain } from '../trust-federation/peers/authorizer.ts';
import type { ConnectionRefused } from '../trust-federation/peers/peer-listener.ts';
import { RefusedPeers } from '../trust-federation/peers/refused-peers.ts';
import { RpcListener } from '../trust-federation/peers/rpc-listener.ts';
import type { AgentConfig } from './config.ts';
import { BundleEndpoint } from './federation/bundle-endpoint.ts';
import type { BundleEndpointConfig } from './federation/config.ts';
import {
  CONTROL_CONNECTIONS_MAX,
  HANDSHAKE_MS_MAX,
  JOIN_CONNECTIONS_MAX,
  STOP_GRACE_MS,
} from './limits.ts';
import type { AgentMetrics } from './metrics.ts';
import type { OwnTrust } from './trust/own-trust.ts';

export interface PortsOptions {
  readonly config: Pick<AgentConfig, 'control' | 'join' | 'trustDomain'>;
  readonly endpoint: BundleEndpointConfig | undefined;
  readonly trust: Pick<OwnTrust, 'identity' | 'bundle'>;
  readonly services: Readonly<Record<'control' | 'join', readonly RpcService[]>>;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Ports {
  /** As bound. */
  readonly addresses: Readonly<Record<'control' | 'join', SocketAddress>>;
  readonly bundleAddress: SocketAddress | undefined;
  readonly refusedPeers: RefusedPeers;
  readonly tasks: readonly Task[];
}

const PORT_LIMITS = { handshakeMsMax: HANDSHAKE_MS_MAX, stopGraceMs: STOP_GRACE_MS };

/** Throws ADDRESS_ codes; all of them are bound when it resolves. */
export async function openPorts(options: PortsOptions): Promise<Ports> {
  const { config, endpoint, trust, services, metrics, log, now } = options;
  const { identity, bundle } = trust;
  const refusedPeers = new RefusedPeers(now);
  const onRefused = (port: 'control' | 'join') => (refusal: ConnectionRefused) => {
    metrics.connectionsRefused.inc({ port, reason: refusal.reason });
    refusedPeers.record(port, refusal);
  };
  const control = new RpcListener({
    name: 'control',
    identity,
    clients: { bundles: bundle.bundles, authorize: inTrustDomain(config.trustDomain) },
    services: services.control,
    limits: { ...PORT_LIMITS, connectionsMax: CONTROL_CONNECTIONS_MAX },
    onRefused: onRefused('control'),
    log,
    now,
  });
  const join = new RpcListener({
    name: 'join',
    identity,
    clients: 'anyone',
    services: services.join,
    limits: { ...PORT_LIMITS, connectionsMax: JOIN_CONNECTIONS_MAX },
    onRefused: onRefused('join'),
    log,
    now,
  });
  const bundleEndpoint =
    endpoint === undefined
      ? undefined
      : new BundleEndpoint({ config: endpoint, identity, bundles: bundle.bundles, log });
  return {
    addresses: {
      control: await control.listen(config.control),
      join: await join.listen(config.join),
    },
    bundleAddress: await bundleEndpoint?.listen(),
    refusedPeers,
    tasks: [control, join, ...(bundleEndpoint === undefined ? [] : [bundleEndpoint])],
  };
}
