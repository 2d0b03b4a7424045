/**
 * A cluster's local control plane, put together in the order data flows: discovery and the registry in,
 * imports in the middle, proxies and the registry out.
 */

import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { RegistryClient } from '../global-registry/client.ts';
import type { SocketAddress } from '../mesh/address.ts';
import type { ClusterConfig } from '../mesh/cluster.ts';
import { agentId } from '../mesh/system-identities.ts';
import { AdminServer } from '../runtime/admin.ts';
import { LastKnownGood } from '../runtime/last-known-good.ts';
import type { Logger } from '../runtime/log.ts';
import { operatorSocket } from '../runtime/operator-socket.ts';
import { processFacts } from '../runtime/process-facts.ts';
import { ensurePrivateDir } from '../runtime/state-file.ts';
import type { Task } from '../runtime/supervise.ts';
import { VERSION } from '../runtime/version.ts';
import { certificateId } from '../trust-federation/authority-journal.ts';
import { inTrustDomain } from '../trust-federation/authorizer.ts';
import { envelopeProofs } from '../trust-federation/bundle-envelope.ts';
import {
  type ClusterAuthority,
  openClusterAuthority,
  WORKLOAD_TTL_MS_MAX,
} from '../trust-federation/cluster-authority.ts';
import { parseCsr } from '../trust-federation/csr.ts';
import { IdentityKeeper } from '../trust-federation/identity-keeper.ts';
import { openJwtAuthority } from '../trust-federation/jwt-authority.ts';
import { OwnBundle } from '../trust-federation/own-bundle.ts';
import type { ConnectionRefused } from '../trust-federation/peer-listener.ts';
import { RefusedPeers } from '../trust-federation/refused-peers.ts';
import { readRevocation } from '../trust-federation/revocation-statement.ts';
import { RpcListener } from '../trust-federation/rpc-listener.ts';
import { generateSvidKey, parseSvid } from '../trust-federation/svid.ts';
import { SvidLedger } from '../trust-federation/svid-ledger.ts';
import { TrustRootFile } from '../trust-federation/trust-root-file.ts';
import { JoinTokenAttestor } from './attestation/join-tokens.ts';
import { TokenReviewAttestor } from './attestation/token-review.ts';
import { type AgentConfig, kubernetesOf, policiesFileOf, servicesFileOf } from './config.ts';
import { type AgentParts, exposeState, figuresOf } from './debug.ts';
import { PolicySource } from './discovery/policy-source.ts';
import { StaticSource } from './discovery/static-source.ts';
import { EndpointLoads } from './endpoint-loads.ts';
import { ExpiryWatch } from './expiry-watch.ts';
import { BundleEndpoint } from './federation/bundle-endpoint.ts';
import { federationOf } from './federation/config.ts';
import { ForeignBundles } from './federation/foreign-bundles.ts';
import { IdentityService } from './identity-service.ts';
import { nextInstance } from './instance.ts';
import { IssuanceAudit } from './issuance-audit.ts';
import {
  CONTROL_CONNECTIONS_MAX,
  HANDSHAKE_MS_MAX,
  JOIN_CONNECTIONS_MAX,
  LEASE_TTL_MS,
  LEDGER_ENTRIES_MAX,
  LEDGER_SAVE_DELAY_MS,
  PROXIES_MAX,
  STOP_GRACE_MS,
} from './limits.ts';
import { ClusterLiveness } from './liveness.ts';
import { Members } from './members.ts';
import { hasLeft, openMembership } from './membership.ts';
import { deriveMesh } from './mesh-state.ts';
import { createAgentMetrics, exposeFigures } from './metrics.ts';
import { agentOperatorService } from './operator-service.ts';
import { ProxyReports } from './proxy-reports.ts';
import { RegistryPublisher } from './registry-publisher.ts';
import { type RegistryPort, RegistrySubscriber } from './registry-subscriber.ts';
import { RolloverRunner } from './rollover.ts';
import { SpillSource } from './spill-source.ts';
import { SteeringSource } from './steering.ts';
import { TrustAcks } from './trust-acks.ts';
import { expiringThings, trustMaterialService } from './trust-material.ts';
import { trustOperatorService } from './trust-operator.ts';
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

const PORT_LIMITS = { handshakeMsMax: HANDSHAKE_MS_MAX, stopGraceMs: STOP_GRACE_MS };
const CONTROL_PORT_LIMITS = { ...PORT_LIMITS, connectionsMax: CONTROL_CONNECTIONS_MAX };
const JOIN_PORT_LIMITS = { ...PORT_LIMITS, connectionsMax: JOIN_CONNECTIONS_MAX };

/** Throws CONFIG_, FILE_, CERTIFICATE_ and ADDRESS_ codes; all sockets are bound when it resolves. */
export async function createClusterAgent(options: AgentOptions): Promise<ClusterAgent> {
  const { config, configFile, stateDir, log, now } = options;
  const { cluster, clusterSet, trustDomain, locality } = config;
  const metrics = createAgentMetrics();
  await ensurePrivateDir(stateDir);

  const instance = await nextInstance(stateDir);
  const own: ClusterConfig = {
    name: cluster,
    instance: instance.name,
    startedMs: now(),
    trustDomain,
    locality,
    network: config.network ?? cluster,
    gateways: config.gateways,
    version: VERSION,
    capabilities: CAPABILITIES,
  };
  const authority = await openClusterAuthority({
    dir: join(stateDir, 'authority'),
    cluster,
    trustDomain,
    isRevoked: id => ownBundle.isRevoked(id),
    now,
  });
  const jwt = await openJwtAuthority({ dir: join(stateDir, 'authority'), log, now });
  const membership = await openMembership(options);
  const clusterSetRoots = membership.roots;
  const ownBundle: OwnBundle = await OwnBundle.open({
    stateDir,
    clusterSet,
    cluster,
    content: () => ({ ...authority.bundle(), jwtAuthorities: jwt.published() }),
    rootSigners: () => authority.statementSigners(),
    member: () => membership.identity.current(),
    log,
    now,
  });
  // A new JWT key is published; with a new membership all of it is signed anew.
  for (const part of [jwt, membership.identity]) {
    part.observe(() => {
      ownBundle.update().catch((error: unknown) => log.error({ error }, 'trust bundle not made'));
    });
  }
  const trustRootFile = new TrustRootFile({
    stateDir,
    trustDomain,
    bundles: ownBundle.bundles,
    log,
  });
  // For the operator to hand to proxies, beside their join tokens.
  await trustRootFile.write();
  const identity = serveAs(authority, config.svidTtl, log, now);

  const source = new StaticSource({
    file: servicesFileOf(config, configFile),
    owner: { cluster, trustDomain, locality },
    log,
    now,
  });
  await source.load();
  const policySource = new PolicySource({ file: policiesFileOf(config, configFile), log, now });
  await policySource.load();

  const { tls } = membership;
  const registry = options.registry ?? new RegistryClient({ addresses: config.registry, tls, log });
  const subscriber = new RegistrySubscriber({ registry, stateDir, log, now });
  await subscriber.load();
  const { endpoint, federations } = federationOf(config, configFile);
  const foreign = new ForeignBundles({
    federations,
    stateDir,
    onFetched: result => metrics.foreignBundles.inc({ result }),
    log,
    now,
  });
  await foreign.load();

  const ledgerFile = new LastKnownGood({
    path: join(stateDir, 'authority', 'issued'),
    serialise: () => ledger.serialise(),
    delayMs: LEDGER_SAVE_DELAY_MS,
    log,
  });
  const ledger = await openLedger(ledgerFile, authority, now);
  const proxyReports = new ProxyReports({
    mustRenew: ({ svid }) => !authority.isInStanding(svid.issuerSha256),
    onReport: ({ spiffeId: id, svid }, certificate) => {
      const root = authority.rootOf(svid.issuerSha256);
      const { notAfterMs } = svid;
      // Of nobody we know: it is told to renew, and then it is one of ours.
      if (root === undefined) return;
      ledger.served({ sha256: certificateId(certificate), id, root, notAfterMs });
    },
    now,
  });
  const liveness = new ClusterLiveness({
    own,
    claims: subscriber.clusters,
    reports: proxyReports.reports,
    onVerdict: verdict => metrics.verdicts.inc({ verdict }),
    log,
    now,
  });
  const members = new Members({
    own: { name: cluster, trustDomain, clusterSet },
    claims: liveness.clusters,
    intents: subscriber.intents,
    proofs: envelopeProofs(new Map([[clusterSet, clusterSetRoots]]), now),
    readRevocation: statement => readRevocation(statement, clusterSetRoots, now()),
    stateDir,
    onRefused: kind => metrics.claimsRefused.inc({ kind }),
    log,
  });
  await members.load();

  const endpointLoads = new EndpointLoads({
    services: source.services,
    reports: proxyReports.reports,
    now,
  });
  const steering = new SteeringSource({ intents: subscriber.intents, log, now });
  const mesh = deriveMesh({
    own,
    services: source.services,
    loads: endpointLoads.loads,
    members: members.clusters,
    bundles: [ownBundle.bundles, members.bundles, foreign.bundles],
    policies: policySource.policies,
    intents: subscriber.intents,
    verdicts: liveness.verdicts,
    steering,
    known: subscriber,
    now,
  });
  const spill = new SpillSource({
    imports: mesh.imports,
    isCurrent: name => name === cluster || members.clusters.get(name)?.freshness.kind === 'live',
    log,
    now,
  });
  const trustAcks = new TrustAcks({
    reports: proxyReports.reports,
    ledger,
    bundles: mesh.bundles,
    now,
  });
  const rollover = new RolloverRunner({
    cluster,
    authority,
    ownBundle,
    identity,
    ledger,
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
    ownBundle,
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
  const kubernetes = kubernetesOf(config, configFile);
  const identities = new IdentityService({
    authority,
    ledger,
    jwt,
    joinTokens: new JoinTokenAttestor(stateDir, now),
    kubernetes:
      kubernetes === undefined
        ? undefined
        : new TokenReviewAttestor({ ...kubernetes, trustDomain }),
    isRevoked: id => ownBundle.isRevoked(id),
    svidTtlMs: config.svidTtl,
    metrics,
    audit,
    log,
    now,
  });
  const refusedPeers = new RefusedPeers(now);
  const refused = (port: 'control' | 'join', refusal: ConnectionRefused): void => {
    metrics.connectionsRefused.inc({ port, reason: refusal.reason });
    refusedPeers.record(port, refusal);
  };
  const control = new RpcListener({
    name: 'control',
    identity,
    clients: { bundles: ownBundle.bundles, authorize: inTrustDomain(trustDomain) },
    services: [ads.service(), identities.renewalService(), proxyReports.service()],
    limits: CONTROL_PORT_LIMITS,
    onRefused: refusal => refused('control', refusal),
    log,
    now,
  });
  const joining = new RpcListener({
    name: 'join',
    identity,
    clients: 'anyone',
    services: [identities.joinService()],
    limits: JOIN_PORT_LIMITS,
    onRefused: refusal => refused('join', refusal),
    log,
    now,
  });

  const bundleEndpoint =
    endpoint === undefined
      ? undefined
      : new BundleEndpoint({ config: endpoint, identity, bundles: ownBundle.bundles, log });

  const material = {
    cluster,
    trustDomain,
    agent: identity,
    membership: membership.identity,
    ownBundle,
    members,
    rollover,
    now,
  };
  const expiries = new ExpiryWatch({ things: () => expiringThings(material), log, now });
  const operator = operatorSocket(
    stateDir,
    [
      agentOperatorService(own, rollover),
      trustOperatorService({
        cluster,
        ownBundle,
        members,
        subscriber,
        svidTtlMs: config.svidTtl,
        log,
      }),
      trustMaterialService(material),
    ],
    log,
  );
  const parts: AgentParts = {
    source,
    policySource,
    spill,
    subscriber,
    liveness,
    members,
    mesh,
    publisher,
    proxies,
    proxyReports,
    refusedPeers,
    foreign,
    audit,
    expiries,
    operator,
  };
  exposeFigures(metrics, figuresOf(parts));
  const admin = new AdminServer({ metrics: metrics.registry, config });
  admin.debug('process', processFacts(stateDir, now));
  exposeState(admin, parts);
  const addresses = {
    admin: await admin.listen(config.admin),
    control: await control.listen(config.control),
    join: await joining.listen(config.join),
  };
  const bundleAddress = await bundleEndpoint?.listen();
  await operator.listen();
  log.info({ cluster, trustDomain, ...addresses, bundleAddress }, 'agent listening');
  return {
    addresses,
    bundleAddress,
    tasks: [
      { name: 'admin', isLast: true, run: signal => admin.run(signal) },
      authority,
      identity,
      membership.identity,
      jwt,
      expiries,
      ledgerFile,
      trustAcks,
      rollover,
      trustRootFile,
      source,
      policySource,
      members,
      foreign,
      ...(bundleEndpoint === undefined ? [] : [bundleEndpoint]),
      subscriber,
      liveness,
      steering,
      endpointLoads,
      spill,
      publisher,
      ...mesh.withdrawals,
      control,
      joining,
      operator,
    ],
  };
}

/** The list of what the authority has issued; without it, what an earlier process issued is unknown. */
async function openLedger(
  file: LastKnownGood,
  authority: ClusterAuthority,
  now: () => number,
): Promise<SvidLedger> {
  const ledger = new SvidLedger({
    entriesMax: LEDGER_ENTRIES_MAX,
    now,
    onChange: () => file.touch(),
  });
  const loaded = await file.load(content => {
    ledger.restore(content);
    return true;
  });
  const first = authority.state.issuers.length === 1;
  if (loaded === undefined && !first) ledger.lost(WORKLOAD_TTL_MS_MAX);
  file.touch();
  return ledger;
}

/** The agent's own certificate comes from its own authority, for this process only. */
function serveAs(
  authority: ClusterAuthority,
  ttlMs: number,
  log: Logger,
  now: () => number,
): IdentityKeeper {
  const id = agentId(authority.trustDomain);
  const key = generateSvidKey();
  const { chain } = authority.issue({ publicKey: createPublicKey(key), id, ttlMs });
  return new IdentityKeeper({
    initial: parseSvid(chain, key),
    obtain: async csr => authority.issue({ publicKey: parseCsr(csr).publicKey, id, ttlMs }),
    save: () => Promise.resolve(),
    log,
    now,
  });
}
