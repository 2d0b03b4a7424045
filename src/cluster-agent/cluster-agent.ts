/**
 * A cluster's local control plane, put together in the order data flows: who this cluster is, what is
 * known of the mesh, what of it goes to the registry and to proxies, and what operators see.
 */

import { RegistryClient } from '../global-registry/client.ts';
import type { SocketAddress } from '../mesh/address.ts';
import type { ClusterConfig } from '../mesh/cluster.ts';
import { AdminServer } from '../runtime/admin.ts';
import type { Logger } from '../runtime/log.ts';
import { operatorSocket } from '../runtime/operator-socket.ts';
import { processFacts } from '../runtime/process-facts.ts';
import type { RpcSocket } from '../runtime/rpc-socket.ts';
import { ensurePrivateDir } from '../runtime/state-file.ts';
import type { Task } from '../runtime/supervise.ts';
import { VERSION } from '../runtime/version.ts';
import { JoinTokenAttestor } from './attestation/join-tokens.ts';
import { TokenReviewAttestor } from './attestation/token-review.ts';
import { type AgentConfig, kubernetesOf } from './config.ts';
import { type AgentParts, exposeState, figuresOf } from './debug.ts';
import { federationOf } from './federation/config.ts';
import { type KnownMesh, openKnownMesh } from './known-mesh.ts';
import { LEASE_TTL_MS, PROXIES_MAX } from './limits.ts';
import { type AgentMetrics, createAgentMetrics, exposeFigures } from './metrics.ts';
import { agentOperatorService } from './operator-service.ts';
import { openPorts } from './ports.ts';
import { type AgentInstance, nextInstance } from './registry/instance.ts';
import { hasLeft } from './registry/membership.ts';
import { RegistryPublisher } from './registry/registry-publisher.ts';
import type { RegistryPort } from './registry/registry-subscriber.ts';
import { ExpiryWatch } from './trust/expiry-watch.ts';
import { IdentityService } from './trust/identity-service.ts';
import { IssuanceAudit } from './trust/issuance-audit.ts';
import { type OwnTrust, openOwnTrust } from './trust/own-trust.ts';
import { RolloverRunner } from './trust/rollover.ts';
import { TrustAcks } from './trust/trust-acks.ts';
import { expiringThings, trustMaterialService } from './trust/trust-material.ts';
import { trustOperatorService } from './trust/trust-operator.ts';
import { AdsServer } from './xds/ads-server.ts';
import { Proxies } from './xds/proxies.ts';
import { SnapshotCache } from './xds/snapshot-cache.ts';

export interface AgentOptions {
  readonly config: AgentConfig;
  /** Paths in the configuration are relative to where this file is. */
  readonly configFile: string;
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
  /** Default: the registry of the configuration. */
  readonly registry?: RegistryPort;
}

export interface ClusterAgent {
  readonly tasks: readonly Task[];
  /** As bound: port 0 of the configuration is a real one here. */
  readonly addresses: Readonly<Record<'control' | 'join' | 'admin', SocketAddress>>;
  /** Of the bundle endpoint, if there is one. */
  readonly bundleAddress: SocketAddress | undefined;
}

/** What this version understands of others that an earlier one did not. */
const CAPABILITIES = ['export-to', 'intents', 'watch-digest'];

/** Throws CONFIG_, FILE_, CERTIFICATE_ and ADDRESS_ codes; all sockets are bound when it resolves. */
export async function createClusterAgent(options: AgentOptions): Promise<ClusterAgent> {
  const { config, configFile, stateDir, log, now } = options;
  const { cluster, trustDomain } = config;
  const metrics = createAgentMetrics();
  await ensurePrivateDir(stateDir);
  const instance = await nextInstance(stateDir);
  const own = describeOwn(config, instance, now());

  const trust = await openOwnTrust(options);
  const { authority, membership, identity, ledger, ledgerFile } = trust;
  const { tls } = membership;
  const registry = options.registry ?? new RegistryClient({ addresses: config.registry, tls, log });
  const { endpoint, federations } = federationOf(config, configFile);
  const known = await openKnownMesh({
    own,
    config,
    configFile,
    stateDir,
    trust,
    registry,
    federations,
    metrics,
    log,
    now,
  });
  const { subscriber, members, mesh, spill, proxyReports } = known;

  const trustAcks = new TrustAcks({
    reports: proxyReports.reports,
    ledger,
    bundles: mesh.bundles,
    now,
  });
  const rollover = new RolloverRunner({
    cluster,
    authority,
    identity,
    ledger,
    ledgerFile,
    ownBundle: trust.bundle,
    acks: trustAcks.acks,
    members: members.clusters,
    records: subscriber,
    log,
    now,
  });
  const publisher = new RegistryPublisher({
    registry,
    subscriber,
    config: own,
    previousInstances: instance.previous,
    ownBundle: trust.bundle,
    exports: mesh.exports,
    departed: () => hasLeft(cluster, subscriber.intents, membership),
    acks: trustAcks.acks,
    leaseTtlMs: LEASE_TTL_MS,
    log,
    now,
  });

  const snapshots = new SnapshotCache({
    inputs: [...mesh.inputs, spill],
    state: () => ({ ...mesh.state(), spills: spill.current() }),
  });
  const proxies = new Proxies(PROXIES_MAX, now);
  const ads = new AdsServer({ snapshots, proxies, metrics, log });
  const audit = new IssuanceAudit(log, now);
  const identities = identityService(options, trust, rollover, metrics, audit);
  const ports = await openPorts({
    config,
    endpoint,
    trust,
    services: {
      control: [ads.service(), identities.renewalService(), proxyReports.service()],
      join: [identities.joinService()],
    },
    metrics,
    log,
    now,
  });

  const { expiries, operator } = forOperators(options, own, trust, known, rollover);
  await operator.listen();
  const { refusedPeers, bundleAddress } = ports;
  const parts: AgentParts = {
    ...known,
    publisher,
    proxies,
    refusedPeers,
    audit,
    expiries,
    operator,
  };
  exposeFigures(metrics, figuresOf(parts));
  const admin = new AdminServer({ metrics: metrics.registry, config });
  admin.debug('process', processFacts(stateDir, now));
  exposeState(admin, parts);
  // Last: it says that the agent is ready.
  const addresses = { ...ports.addresses, admin: await admin.listen(config.admin) };
  log.info({ cluster, trustDomain, ...addresses, bundleAddress }, 'agent listening');
  return {
    addresses,
    bundleAddress,
    tasks: [
      { name: 'admin', isLast: true, run: signal => admin.run(signal) },
      ...trust.tasks,
      ...known.tasks,
      ...[expiries, trustAcks, rollover, publisher],
      ...ports.tasks,
      operator,
    ],
  };
}

function describeOwn(
  { cluster, trustDomain, locality, network, gateways }: AgentConfig,
  instance: AgentInstance,
  startedMs: number,
): ClusterConfig {
  return {
    name: cluster,
    instance: instance.name,
    startedMs,
    trustDomain,
    locality,
    network: network ?? cluster,
    gateways,
    version: VERSION,
    capabilities: CAPABILITIES,
  };
}

function identityService(
  { config, configFile, stateDir, log, now }: AgentOptions,
  { authority, ledger, jwt, bundle }: OwnTrust,
  rollover: RolloverRunner,
  metrics: AgentMetrics,
  audit: IssuanceAudit,
): IdentityService {
  const { trustDomain, svidTtl } = config;
  const kubernetes = kubernetesOf(config, configFile);
  return new IdentityService({
    authority,
    ledger,
    recorded: () => rollover.recorded(),
    jwt,
    joinTokens: new JoinTokenAttestor(stateDir, now),
    kubernetes:
      kubernetes === undefined
        ? undefined
        : new TokenReviewAttestor({ ...kubernetes, trustDomain }),
    isRevoked: id => bundle.isRevoked(id),
    svidTtlMs: svidTtl,
    metrics,
    audit,
    log,
    now,
  });
}

function forOperators(
  { config, stateDir, log, now }: AgentOptions,
  own: ClusterConfig,
  { identity, membership, bundle }: OwnTrust,
  { members, subscriber }: KnownMesh,
  rollover: RolloverRunner,
): { readonly expiries: ExpiryWatch; readonly operator: RpcSocket } {
  const { cluster, trustDomain, svidTtl } = config;
  const material = {
    cluster,
    trustDomain,
    members,
    rollover,
    now,
    agent: identity,
    membership: membership.identity,
    ownBundle: bundle,
  };
  const services = [
    agentOperatorService(own, rollover),
    trustOperatorService({
      cluster,
      members,
      subscriber,
      log,
      ownBundle: bundle,
      svidTtlMs: svidTtl,
    }),
    trustMaterialService(material),
  ];
  return {
    expiries: new ExpiryWatch({ things: () => expiringThings(material), log, now }),
    operator: operatorSocket(stateDir, services, log),
  };
}
