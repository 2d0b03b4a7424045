/**
 * The east-west gateway, put together: agent link → routes → listener → endpoints' sidecars.
 *
 * It holds an SVID to speak to its agent; what passes between sidecars it can neither read nor join.
 */

import type { AgentLink } from '../cluster-agent/client.ts';
import { linkToAgent } from '../cluster-agent/client.ts';
import type { SocketAddress } from '../mesh/address.ts';
import { derive } from '../mesh/collection.ts';
import { gatewayId } from '../mesh/system-identities.ts';
import { AdminServer } from '../runtime/admin.ts';
import type { Logger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { processFacts } from '../runtime/process-facts.ts';
import { socketAccess } from '../runtime/socket-internals.ts';
import type { Task } from '../runtime/supervise.ts';
import { describeBundles, describeIdentity } from '../trust-federation/peers/describe.ts';
import { exposePaths } from '../trust-federation/probes/path-metrics.ts';
import {
  type Path,
  type PathKey,
  PathProber,
  pathKey,
} from '../trust-federation/probes/path-prober.ts';
import type { GatewayConfig } from './config.ts';
import { DRAIN_MS, PROBE_HANDSHAKE_EVERY_MS } from './limits.ts';
import { GatewayListener } from './listener.ts';
import { createGatewayMetrics } from './metrics.ts';
import { Probes } from './probes.ts';
import { Tap } from './tap.ts';

export async function buildGateway(
  config: GatewayConfig,
  stateDir: string,
  log: Logger,
): Promise<readonly Task[]> {
  const link = await linkToAgent({
    cluster: config.cluster,
    trustDomain: config.trustDomain,
    proxy: {
      kind: 'gateway',
      name: config.name,
      spiffeId: gatewayId(config.trustDomain),
      // A gateway is sent every endpoint of its cluster, near or far.
      locality: { region: '', zone: '' },
    },
    agent: config.agent,
    stateDir,
    log,
    now: Date.now,
  });
  return (await assembleGateway({ config, stateDir, link, log, now: Date.now })).tasks;
}

export interface AssembledGateway {
  readonly tasks: readonly Task[];
  readonly address: SocketAddress;
  readonly admin: SocketAddress;
}

/** Binds every socket; the tasks run it. */
export async function assembleGateway(parts: {
  readonly config: GatewayConfig;
  readonly stateDir: string;
  readonly link: AgentLink;
  readonly log: Logger;
  readonly now: () => number;
}): Promise<AssembledGateway> {
  const { config, stateDir, link, log, now } = parts;
  const registry = createMetrics('gateway');
  const tap = new Tap();
  const metrics = createGatewayMetrics(registry);
  const listener = new GatewayListener({
    table: { cluster: config.cluster, routes: link.gatewayRoutes },
    metrics,
    probes: new Probes({ link, metrics, now }),
    log,
    now,
    drainMs: config.drain ?? DRAIN_MS,
    tap: bytes => tap.offer(bytes),
  });

  const peers = derive<PathKey, Path>('peer-paths', [link.peerGateways], () =>
    [...link.peerGateways.entries().values()].flatMap(({ cluster, trustDomain, addresses }) =>
      addresses.map(peer => {
        const path = { cluster, trustDomain, address: peer };
        return [pathKey(path), path] as const;
      }),
    ),
  );
  const prober = new PathProber({
    paths: peers,
    identity: link.identity,
    bundles: link.bundles,
    handshakeEveryMs: PROBE_HANDSHAKE_EVERY_MS,
    // What passes here is between others.
    heardMs: () => undefined,
    now,
    random: Math.random,
  });
  link.reportPaths(() => prober.evidence(), prober.states);
  exposePaths(registry, prober);

  const admin = new AdminServer({ metrics: registry, config });
  admin.debug('process', processFacts(stateDir, now));
  admin.ready('listener', () => (listener.accepting ? undefined : 'not accepting connections'));
  admin.ready('routes', () =>
    link.status().source === 'none' ? 'no snapshot from the agent or from disk yet' : undefined,
  );
  admin.debug('agent', () => link.status());
  admin.debug('identity', () => describeIdentity(link.identity.current(), link.bundles, now()));
  admin.debug('bundles', () => describeBundles(link.bundles.entries().values()));
  admin.debug('liveness', () => prober.evidence());
  admin.debug('routes', () => [...link.gatewayRoutes.entries().values()]);
  admin.debug('connections', () => listener.connections());
  admin.route('GET', '/tap', tap.serve);

  const adminAddress = await admin.listen(config.admin);
  const address = await listener.listen(config.listen);
  log.info({ address, admin: adminAddress, sockets: socketAccess }, 'gateway listens');
  return {
    tasks: [
      { name: 'agent-link', run: signal => link.run(signal) },
      { name: 'listener', run: signal => listener.run(signal) },
      prober,
      { name: 'admin', isLast: true, run: signal => admin.run(signal) },
    ],
    address,
    admin: adminAddress,
  };
}
