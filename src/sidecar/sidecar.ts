/**
 * The sidecar, put together in the order a call takes: agent link → outbound listeners → caller → tunnel
 * on the calling side, inbound listener → CONNECT streams → application on the called side.
 */

import type { AgentLink } from '../cluster-agent/client.ts';
import { linkToAgent } from '../cluster-agent/client.ts';
import type { SocketAddress } from '../mesh/address.ts';
import { inboundName } from '../mesh/callers.ts';
import { isClosed } from '../mesh/path.ts';
import { keyOf } from '../mesh/service.ts';
import { workloadId } from '../mesh/spiffe-id.ts';
import { AdminServer } from '../runtime/admin.ts';
import type { Logger } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { processFacts } from '../runtime/process-facts.ts';
import { socketAccess } from '../runtime/socket-internals.ts';
import type { Task } from '../runtime/supervise.ts';
import { describeBundles, describeIdentity } from '../trust-federation/peers/describe.ts';
import { type PeerRefusal, RefusedPeers } from '../trust-federation/peers/refused-peers.ts';
import { exposePaths } from '../trust-federation/probes/path-metrics.ts';
import { PathProber } from '../trust-federation/probes/path-prober.ts';
import type { SidecarConfig } from './config.ts';
import { InFlight } from './inbound/in-flight.ts';
import { InboundListener } from './inbound/listener.ts';
import { StreamHandler } from './inbound/streams.ts';
import { DRAIN_MS, PROBE_HANDSHAKE_EVERY_MS } from './limits.ts';
import { createSidecarMetrics, exposeHealth } from './metrics.ts';
import { Caller } from './outbound/caller.ts';
import { OutboundHttpListener } from './outbound/http-listener.ts';
import { PathsInUse } from './outbound/paths-in-use.ts';
import { Rotations } from './outbound/rotations.ts';
import { OutboundTcpListener } from './outbound/tcp-listener.ts';
import { Trials } from './outbound/trials.ts';
import { Reporter } from './reporter.ts';
import { SessionPool } from './tunnel/pool.ts';
import { openWorkloadApi } from './workload-api/socket.ts';

export async function buildSidecar(
  config: SidecarConfig,
  stateDir: string,
  log: Logger,
): Promise<readonly Task[]> {
  const { cluster, trustDomain, workload, locality, agent } = config;
  const link = await linkToAgent({
    cluster,
    trustDomain,
    proxy: {
      kind: 'sidecar',
      name: workload.name,
      spiffeId: workloadId(trustDomain, workload.namespace, workload.serviceAccount),
      locality,
      inbound: config.inbound.services.map(({ service, port }) => inboundName(service, port)),
    },
    agent,
    stateDir,
    log,
    now: Date.now,
  });
  const sidecar = await assembleSidecar({
    config,
    stateDir,
    link,
    log,
    now: Date.now,
    random: Math.random,
  });
  return sidecar.tasks;
}

export interface SidecarParts {
  readonly config: SidecarConfig;
  readonly stateDir: string;
  readonly link: AgentLink;
  readonly log: Logger;
  readonly now: () => number;
  readonly random: () => number;
}

export interface AssembledSidecar {
  readonly tasks: readonly Task[];
  readonly inbound: SocketAddress;
  readonly outboundHttp: SocketAddress;
  readonly outboundTcp: readonly SocketAddress[];
  readonly admin: SocketAddress;
}

/** Binds every socket; the tasks run it. */
export async function assembleSidecar(parts: SidecarParts): Promise<AssembledSidecar> {
  const { config, stateDir, link, log, now, random } = parts;
  const { identity, bundles, upstreams, hosts } = link;
  const drainMs = config.drain ?? DRAIN_MS;
  const registry = createMetrics('sidecar');
  const reporter = new Reporter({
    metrics: createSidecarMetrics(registry),
    log,
    cluster: config.cluster,
    workload: config.workload.name,
    identity: () => identity.current().id,
  });

  const refusedPeers = new RefusedPeers(now);
  const onRefused = (refusal: PeerRefusal): void => refusedPeers.record('outbound', refusal);
  const rotations = new Rotations({
    upstreams,
    now,
    random,
    onOut: (reason, upstream, endpoint) => {
      reporter.endpointOut(reason);
      if (reason === 'unreachable') link.foundUnreachable(upstream, endpoint);
    },
  });
  link.held.observe(changes => {
    for (const change of changes) {
      if (change.kind === 'delete') continue;
      for (const { hash } of change.value) {
        if (rotations.isUnreachable(change.key, hash)) link.foundUnreachable(change.key, hash);
      }
    }
  });
  const onSilent = (key: string): void => rotations.wentSilent(key);
  const pool = new SessionPool({ identity, bundles, onRefused, onSilent, now });
  exposeHealth(registry, () => rotations.figures(now()));
  const caller = new Caller({
    pool,
    onAttemptFailed: attempt => reporter.attemptFailed(attempt),
  });
  const inUse = new PathsInUse(pool, now);
  const prober = new PathProber({
    paths: inUse.paths,
    identity,
    bundles,
    handshakeEveryMs: PROBE_HANDSHAKE_EVERY_MS,
    heardMs: path => inUse.heardMs(path),
    now,
    random,
  });
  prober.states.observe(changes => {
    for (const change of changes) {
      const address = inUse.paths.get(change.key)?.address;
      if (address === undefined) continue;
      const state = change.kind === 'put' ? change.value : undefined;
      rotations.gateways.probed(address, state);
      // What is open through it finishes, and lets it go.
      if (state !== undefined && isClosed(state)) pool.retireThrough(address);
    }
  });
  link.reportPaths(() => prober.evidence(), prober.states);
  exposePaths(registry, prober);
  const trials = new Trials({ rotations, caller, now });
  const outboundHttp = new OutboundHttpListener({
    hosts,
    rotations,
    caller,
    now,
    drainMs,
    onUnanswered: repeat => reporter.unanswered(repeat),
    onRefused: code => reporter.outboundRefused(code),
    onCall: call => reporter.outboundCall(call),
  });
  const outboundTcp = config.outbound.tcp.map(({ listen, service }) => ({
    listen,
    listener: new OutboundTcpListener({
      rotation: () => rotations.of(service),
      caller,
      drainMs,
      onRefused: code => reporter.outboundRefused(code),
      onOpened: upstream => reporter.outboundTcp(upstream),
    }),
  }));

  const services = config.inbound.services.map(({ service, ...rest }) => ({ ...service, ...rest }));
  const inFlight = new InFlight(services.map(keyOf), now());
  link.reportLoads(() => inFlight.takeAverages(now()));
  const streams = new StreamHandler({
    cluster: config.cluster,
    services,
    inFlight,
    authorization: { own: config.trustDomain, callers: link.callers },
    identity: () => identity.current().id,
    now,
    figuresOf: (service, peer) => reporter.inboundFigures(service, peer),
    onRequest: request => reporter.inboundRequest(request),
    onRefused: (reason, authority, peer) =>
      reporter.inboundRefused(reason, { authority, peer: peer.id }),
    onTcp: service => reporter.inboundTcp(service),
  });
  const inbound = new InboundListener({
    identity,
    bundles,
    streams,
    now,
    drainMs,
    onAccepted: () => reporter.inboundAccepted(),
    onRefused: refusal => {
      refusedPeers.record('inbound', refusal);
      const { reason, message, source, id } = refusal;
      reporter.inboundRefused(reason, { message, source, ...(id === undefined ? {} : { id }) });
    },
  });

  const admin = new AdminServer({ metrics: registry, config });
  admin.debug('process', processFacts(stateDir, now));
  admin.ready('listeners', () => (inbound.accepting ? undefined : 'not accepting connections'));
  admin.ready('upstreams', () =>
    link.status().source === 'none' ? 'no snapshot from the agent or from disk yet' : undefined,
  );
  admin.debug('agent', () => link.status());
  admin.debug('identity', () => describeIdentity(identity.current(), bundles, now()));
  admin.debug('bundles', () => describeBundles(bundles.entries().values()));
  admin.debug('refusals', () => refusedPeers.list());
  admin.debug('callers', () =>
    Object.fromEntries([...link.callers.entries()].map(([name, callers]) => [name, [...callers]])),
  );
  admin.debug('held', () => link.held.entries());
  admin.debug('hosts', () => hosts.entries());
  admin.debug('upstreams', () => [...rotations.all()].map(each => each.describe(now())));
  admin.debug('liveness', () => prober.evidence());
  admin.debug('gateways', () => [...rotations.gateways.all()]);

  const workloadApi = await openWorkloadApi(config, link, log, now);
  const bound = {
    admin: await admin.listen(config.admin),
    inbound: await inbound.listen(config.inbound.listen),
    outboundHttp: await outboundHttp.listen(config.outbound.http),
    outboundTcp: await Promise.all(
      outboundTcp.map(({ listener, listen }) => listener.listen(listen)),
    ),
  };
  log.info({ ...bound, sockets: socketAccess }, 'sidecar listens');
  return {
    ...bound,
    tasks: [
      { name: 'agent-link', run: signal => link.run(signal) },
      { name: 'inbound', run: signal => inbound.run(signal) },
      { name: 'outbound-http', run: signal => outboundHttp.run(signal) },
      ...outboundTcp.map(({ listener }) => ({
        name: 'outbound-tcp',
        run: (signal: AbortSignal) => listener.run(signal),
      })),
      trials,
      inUse,
      prober,
      { name: 'tunnel', run: signal => pool.run(signal) },
      ...(workloadApi === undefined ? [] : [workloadApi]),
      { name: 'admin', isLast: true, run: signal => admin.run(signal) },
    ],
  };
}
