/**
 * All that this agent knows of the mesh, in the order it flows in: what is discovered here, what the
 * registry says of other clusters and what of that is believed, what proxies report; and what follows.
 */

import type { ClusterConfig } from '../mesh/cluster.ts';
import type { Logger } from '../runtime/log.ts';
import type { Task } from '../runtime/supervise.ts';
import { certificateId } from '../trust-federation/authority/authority-journal.ts';
import { envelopeProofs } from '../trust-federation/bundles/bundle-envelope.ts';
import { readRevocation } from '../trust-federation/bundles/revocation-statement.ts';
import { type AgentConfig, policiesFileOf, servicesFileOf } from './config.ts';
import { PolicySource } from './discovery/policy-source.ts';
import { StaticSource } from './discovery/static-source.ts';
import { type FederationConfig, guestsOf } from './federation/config.ts';
import { ForeignBundles } from './federation/foreign-bundles.ts';
import { ClusterLiveness } from './liveness.ts';
import { type DerivedMesh, deriveMesh } from './mesh-state.ts';
import type { AgentMetrics } from './metrics.ts';
import { EndpointLoads } from './proxies/endpoint-loads.ts';
import { ProxyReports } from './proxies/proxy-reports.ts';
import { Members } from './registry/members.ts';
import { type RegistryPort, RegistrySubscriber } from './registry/registry-subscriber.ts';
import { SpillSource } from './spill-source.ts';
import { SteeringSource } from './steering.ts';
import type { OwnTrust } from './trust/own-trust.ts';

export interface KnownMeshOptions {
  readonly own: ClusterConfig;
  readonly config: AgentConfig;
  readonly configFile: string;
  readonly stateDir: string;
  readonly trust: OwnTrust;
  readonly registry: RegistryPort;
  readonly federations: readonly FederationConfig[];
  readonly metrics: AgentMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

export interface KnownMesh {
  readonly source: StaticSource;
  readonly policySource: PolicySource;
  readonly subscriber: RegistrySubscriber;
  readonly foreign: ForeignBundles;
  readonly proxyReports: ProxyReports;
  readonly liveness: ClusterLiveness;
  readonly members: Members;
  readonly mesh: DerivedMesh;
  readonly spill: SpillSource;
  readonly tasks: readonly Task[];
}

/** From the files and the last known good state; throws FILE_ and CONFIG_ codes. */
export async function openKnownMesh(options: KnownMeshOptions): Promise<KnownMesh> {
  const { own, config, configFile, stateDir, trust, registry, metrics, log, now } = options;
  const { name: cluster, trustDomain, locality } = own;
  const source = new StaticSource({
    file: servicesFileOf(config, configFile),
    owner: { cluster, trustDomain, locality },
    log,
    now,
  });
  await source.load();
  const policySource = new PolicySource({ file: policiesFileOf(config, configFile), log, now });
  await policySource.load();

  const subscriber = new RegistrySubscriber({ registry, stateDir, log, now });
  await subscriber.load();
  const foreign = new ForeignBundles({
    federations: options.federations,
    stateDir,
    onFetched: result => metrics.foreignBundles.inc({ result }),
    log,
    now,
  });
  await foreign.load();

  const proxyReports = reportsFor(trust, now);
  const { reports } = proxyReports;
  const liveness = new ClusterLiveness({
    own,
    claims: subscriber.clusters,
    reports,
    onVerdict: verdict => metrics.verdicts.inc({ verdict }),
    log,
    now,
  });
  const { clusterSet } = config;
  const { roots } = trust.membership;
  const members = new Members({
    own: { name: cluster, trustDomain, clusterSet },
    claims: liveness.clusters,
    intents: subscriber.intents,
    proofs: envelopeProofs(new Map([[clusterSet, roots]]), now),
    readRevocation: statement => readRevocation(statement, roots, now()),
    stateDir,
    onRefused: kind => metrics.claimsRefused.inc({ kind }),
    log,
  });
  await members.load();

  const endpointLoads = new EndpointLoads({ services: source.services, reports, now });
  const steering = new SteeringSource({ intents: subscriber.intents, log, now });
  const mesh = deriveMesh({
    own,
    services: source.services,
    loads: endpointLoads.loads,
    members: members.clusters,
    bundles: [trust.bundle.bundles, members.bundles, foreign.bundles],
    guests: guestsOf(options.federations),
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
  return {
    source,
    policySource,
    subscriber,
    foreign,
    proxyReports,
    liveness,
    members,
    mesh,
    spill,
    tasks: [
      ...[source, policySource, members, foreign, subscriber, liveness],
      ...[steering, endpointLoads, spill, ...mesh.withdrawals],
    ],
  };
}

/** What proxies report also says which certificates are in use, and which of them have to go. */
function reportsFor({ authority, ledger }: OwnTrust, now: () => number): ProxyReports {
  return new ProxyReports({
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
}
