/** What operators see of an agent: `/debug/…` as JSON, times in epoch milliseconds. */

import { createHash } from 'node:crypto';
import type { ClusterRecord } from '../mesh/cluster.ts';
import type { Verdict } from '../mesh/liveness.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { ExportedService } from '../mesh/service.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import type { AdminServer } from '../runtime/admin.ts';
import type { RpcSocket } from '../runtime/rpc-socket.ts';
import { describeBundles } from '../trust-federation/peers/describe.ts';
import type { RefusedPeers } from '../trust-federation/peers/refused-peers.ts';
import type { PolicySource } from './discovery/policy-source.ts';
import type { StaticSource } from './discovery/static-source.ts';
import type { ForeignBundles } from './federation/foreign-bundles.ts';
import type { ClusterLiveness } from './liveness.ts';
import type { DerivedMesh } from './mesh-state.ts';
import type { AgentFigures } from './metrics.ts';
import type { ProxyReports } from './proxies/proxy-reports.ts';
import type { Members } from './registry/members.ts';
import type { RegistryPublisher } from './registry/registry-publisher.ts';
import type { RegistrySubscriber } from './registry/registry-subscriber.ts';
import type { SpillSource } from './spill-source.ts';
import type { ExpiryWatch } from './trust/expiry-watch.ts';
import type { IssuanceAudit } from './trust/issuance-audit.ts';
import type { Proxies } from './xds/proxies.ts';

export interface AgentParts {
  readonly source: StaticSource;
  readonly policySource: PolicySource;
  readonly spill: SpillSource;
  readonly subscriber: RegistrySubscriber;
  readonly liveness: ClusterLiveness;
  readonly members: Members;
  readonly mesh: DerivedMesh;
  readonly publisher: RegistryPublisher;
  readonly proxies: Proxies;
  readonly proxyReports: ProxyReports;
  readonly refusedPeers: RefusedPeers;
  readonly foreign: ForeignBundles;
  readonly audit: IssuanceAudit;
  readonly expiries: ExpiryWatch;
  readonly operator: RpcSocket;
}

export function exposeState(admin: AdminServer, parts: AgentParts): void {
  const { source, policySource, subscriber, liveness, members, mesh } = parts;
  const { publisher, proxies, proxyReports, refusedPeers, foreign, operator, spill } = parts;
  admin.debug('clusters', () => describeClusters(parts));
  admin.debug('intents', () => [...subscriber.intents.entries().values()]);
  admin.debug('liveness', () => liveness.describe());
  admin.debug('refusals', () => refusedPeers.list());
  admin.debug('trust', () => describeBundles(mesh.bundles.entries().values()));
  admin.debug('federation', () => foreign.status());
  admin.debug('claims', () => members.refusals());
  admin.debug('proxies', () => proxies.list());
  admin.debug('proxy-reports', () => [...proxyReports.reports.entries().values()]);
  admin.debug('audit', () => parts.audit.events);
  admin.debug('operator', () => ({ socket: operator.path }));
  admin.debug('registry', () => ({
    ...subscriber.status(),
    leaseExpiresMs: publisher.leaseExpiresMs,
    publication: publisher.problem,
    notices: publisher.notices,
  }));
  admin.debug('services', () => ({
    ...source.status(),
    services: [...source.services.entries().values()],
  }));
  admin.debug('policies', () => ({
    ...policySource.status(),
    policies: Object.fromEntries(policySource.policies.entries()),
  }));
  admin.debug('spills', () => spill.current());
  admin.debug('imports', () => [...mesh.imports.entries().values()]);
}

export function figuresOf({
  source,
  policySource,
  spill,
  subscriber,
  liveness,
  members,
  proxies,
  expiries,
}: AgentParts): AgentFigures {
  return {
    servicesProblem: () => source.status().problem !== undefined,
    spills: () => [...spill.current().values()].filter(percent => percent > 0).length,
    policiesProblem: () => policySource.status()?.problem !== undefined,
    registryConnected: () => subscriber.connected,
    clusters: () => {
      const all = [...members.clusters.entries().values()];
      const live = all.filter(({ freshness }) => freshness.kind === 'live').length;
      return { live, stale: all.length - live };
    },
    dead: () => countOf(liveness, verdict => verdict === 'dead' || verdict === 'recovering'),
    unreachable: () => countOf(liveness, verdict => verdict === 'unreachable'),
    heldWithdrawals: () => liveness.heldWithdrawals(),
    refusals: () => members.refusals().length,
    soonestExpiry: () => expiries.soonest(),
    proxies: () => ({
      connected: proxies.list().filter(({ connected }) => connected).length,
      nacked: proxies.list().filter(({ nack }) => nack !== undefined).length,
    }),
  };
}

function countOf(
  { verdicts }: ClusterLiveness,
  matches: (verdict: Verdict['kind']) => boolean,
): number {
  return [...verdicts.entries().values()].filter(({ verdict }) => matches(verdict.kind)).length;
}

/** Our own first, as this agent has it; what the registry shows of us is its business. */
function describeClusters({ subscriber, liveness, members, mesh }: AgentParts): unknown[] {
  const { cluster, exports, bundles } = mesh.state();
  const bundle = bundles.find(({ trustDomain }) => trustDomain === cluster.trustDomain);
  const freshness = subscriber.clusters.get(cluster.name)?.freshness;
  return [
    {
      name: cluster.name,
      local: true,
      freshness,
      config: cluster,
      bundle: bundle === undefined ? undefined : describeBundle(bundle),
      exports: exports.map(describeExport),
    },
    ...[...members.clusters.entries()].map(([name, record]) => ({
      ...describeMember(name, record),
      liveness: liveness.verdicts.get(name),
    })),
  ];
}

function describeMember(name: ClusterName, record: ClusterRecord): object {
  const { freshness, config, bundle, exports } = record;
  return {
    name,
    local: false,
    freshness,
    config,
    bundle: describeBundle(bundle),
    exports: exports.map(describeExport),
  };
}

function describeBundle({ trustDomain, sequence, x509Authorities, revoked }: TrustBundle): unknown {
  const roots = x509Authorities.map(der => createHash('sha256').update(der).digest('hex'));
  return { trustDomain, sequence, roots, revoked };
}

function describeExport({ endpoints, ...service }: ExportedService): unknown {
  return { ...service, endpoints: endpoints.length };
}
