/**
 * `isthmus status`: what every process says of itself, and what is stale since when.
 *
 * Gathered from the admin servers alone, so it works with the registry and every agent down: a proxy
 * then says how long it has been serving its last-known-good state.
 */

import type { Freshness } from '../mesh/cluster.ts';
import type { Intent } from '../mesh/intent.ts';
import { askAdmin, askAdminBody } from './admin-client.ts';
import type { ClusterFleet, Fleet, GatewayMember, SidecarMember } from './fleet.ts';
import { formatIntents, isSteering } from './intents.ts';
import { formatLiveness, gatherLiveness, type LivenessStatus } from './liveness-status.ts';
import { formatClock, formatDuration, type Style, style, table } from './text.ts';

export type State =
  | { readonly kind: 'current' }
  | { readonly kind: 'stale'; readonly sinceMs: number; readonly reason: string }
  | { readonly kind: 'down'; readonly reason: string };

export interface StatusReport {
  readonly observedAtMs: number;
  /** True when nothing is stale or down. */
  readonly current: boolean;
  readonly registry: { readonly state: State; readonly store?: string; readonly revision?: string };
  readonly clusters: readonly ClusterStatus[];
  readonly proxies: readonly ProxyStatus[];
  /** How the agents that answer judge each other's clusters. */
  readonly liveness: readonly LivenessStatus[];
  /** Drains and failovers in force, as the first agent that answers knows them. */
  readonly steering: readonly Intent[];
  /** Configured clusters none of whose processes run and of which nobody has heard. */
  readonly notRunning: readonly string[];
}

export interface ClusterStatus {
  readonly name: string;
  readonly region: string;
  readonly state: State;
  readonly exports: readonly string[];
  /** How each other agent sees this cluster. */
  readonly seenBy: Readonly<Record<string, State>>;
}

export interface ProxyStatus {
  readonly name: string;
  readonly kind: 'sidecar' | 'gateway';
  readonly cluster: string;
  readonly state: State;
  readonly identityExpiresMs?: number;
  readonly lastUpdateMs?: number;
}

interface LinkAnswer {
  readonly connected: boolean;
  readonly sinceMs: number;
  readonly lastUpdateMs?: number;
  readonly source?: 'agent' | 'disk' | 'none';
}
interface ClusterAnswer {
  readonly name: string;
  readonly local: boolean;
  readonly freshness: Freshness;
  readonly exports: readonly { readonly namespace: string; readonly name: string }[];
}

/** Throws nothing: what cannot be reached is part of the report. */
export async function gatherStatus(fleet: Fleet, nowMs: number): Promise<StatusReport> {
  const views = await Promise.all(fleet.clusters.map(cluster => gatherCluster(cluster)));
  const registry = await gatherRegistry(fleet);
  const known = new Set(views.flatMap(view => view.clusters.map(cluster => cluster.name)));
  const running = views.filter(view => view.reachable || known.has(view.fleet.name));
  const clusters = running.map(view => clusterStatus(view, running));
  const proxies = running.flatMap(view => view.proxies);
  const liveness = running.flatMap(view => view.liveness);
  const states = [registry.state, ...clusters.map(c => c.state), ...proxies.map(p => p.state)];
  return {
    observedAtMs: nowMs,
    current:
      states.every(state => state.kind === 'current') &&
      liveness.every(({ verdict }) => verdict === 'serving'),
    registry,
    clusters,
    proxies,
    liveness,
    steering: (running.find(view => view.intents !== undefined)?.intents ?? []).filter(intent =>
      isSteering(intent, nowMs),
    ),
    notRunning: views.filter(view => !running.includes(view)).map(view => view.fleet.name),
  };
}

interface ClusterView {
  readonly fleet: ClusterFleet;
  /** Any process of the cluster answered. */
  readonly reachable: boolean;
  readonly registryLink: LinkAnswer | undefined;
  readonly clusters: readonly ClusterAnswer[];
  readonly proxies: readonly ProxyStatus[];
  readonly liveness: readonly LivenessStatus[];
  /** Undefined when its agent does not answer. */
  readonly intents: readonly Intent[] | undefined;
}

async function gatherRegistry(fleet: Fleet): Promise<StatusReport['registry']> {
  const answer = await askAdmin<{
    kind: string;
    revision: string | number;
    outage?: string;
    frozen?: string;
  }>(fleet.registry.admin, '/debug/store');
  if (answer.kind === 'unreachable') return { state: { kind: 'down', reason: answer.reason } };
  const { kind, revision, outage, frozen } = answer.body;
  const reason = frozen === undefined ? outage : `frozen: ${frozen}`;
  return {
    state:
      reason === undefined
        ? { kind: 'current' }
        : { kind: 'down', reason: `serves its copy, takes no writes: ${reason}` },
    store: kind,
    revision: String(revision),
  };
}

async function gatherCluster(fleet: ClusterFleet): Promise<ClusterView> {
  const [registryLink, clusters, liveness, intents, proxies] = await Promise.all([
    askAdminBody<LinkAnswer>(fleet.agent.admin, '/debug/registry'),
    askAdminBody<ClusterAnswer[]>(fleet.agent.admin, '/debug/clusters'),
    gatherLiveness(fleet),
    askAdminBody<Intent[]>(fleet.agent.admin, '/debug/intents'),
    Promise.all([fleet.gateway, ...fleet.sidecars].map(member => gatherProxy(member))),
  ]);
  return {
    fleet,
    reachable: registryLink !== undefined || proxies.some(proxy => proxy.state.kind !== 'down'),
    registryLink,
    clusters: clusters ?? [],
    liveness,
    intents,
    proxies,
  };
}

async function gatherProxy(member: GatewayMember | SidecarMember): Promise<ProxyStatus> {
  const [link, identity] = await Promise.all([
    askAdmin<LinkAnswer>(member.admin, '/debug/agent'),
    askAdminBody<{ notAfterMs: number }>(member.admin, '/debug/identity'),
  ]);
  const base = { name: member.name, kind: member.component, cluster: member.cluster };
  if (link.kind === 'unreachable') return { ...base, state: { kind: 'down', reason: link.reason } };
  const { connected, sinceMs, lastUpdateMs } = link.body;
  return {
    ...base,
    state: connected
      ? { kind: 'current' }
      : { kind: 'stale', sinceMs, reason: 'serving last-known-good, agent unreachable' },
    ...(identity === undefined ? {} : { identityExpiresMs: identity.notAfterMs }),
    ...(lastUpdateMs === undefined ? {} : { lastUpdateMs }),
  };
}

function clusterStatus(view: ClusterView, all: readonly ClusterView[]): ClusterStatus {
  const { fleet } = view;
  const seenBy: Record<string, State> = {};
  const exports = new Set<string>();
  for (const observer of all) {
    const seen = observer.clusters.find(cluster => cluster.name === fleet.name);
    if (seen === undefined) continue;
    for (const service of seen.exports) exports.add(`${service.namespace}/${service.name}`);
    if (observer !== view) seenBy[observer.fleet.name] = stateOf(seen.freshness);
  }
  return {
    name: fleet.name,
    region: fleet.agent.region,
    state: ownState(view, Object.values(seenBy)),
    exports: [...exports].sort(),
    seenBy,
  };
}

/** A cluster is as fresh as its own agent's link and the others' sight of it. */
function ownState(view: ClusterView, seen: readonly State[]): State {
  const stale = seen.find(state => state.kind === 'stale');
  if (view.registryLink === undefined) {
    const sinces = view.proxies.flatMap(p => (p.state.kind === 'stale' ? [p.state.sinceMs] : []));
    if (sinces.length > 0) {
      return { kind: 'stale', sinceMs: Math.min(...sinces), reason: 'agent unreachable' };
    }
    return stale ?? { kind: 'down', reason: 'agent unreachable' };
  }
  if (!view.registryLink.connected) {
    return { kind: 'stale', sinceMs: view.registryLink.sinceMs, reason: 'registry unreachable' };
  }
  return stale ?? { kind: 'current' };
}

function stateOf(freshness: Freshness): State {
  return freshness.kind === 'live'
    ? { kind: 'current' }
    : { kind: 'stale', sinceMs: freshness.sinceMs, reason: freshness.reason };
}

export function formatStatus(report: StatusReport): string {
  const { registry, observedAtMs } = report;
  const sections = [
    table(
      ['REGISTRY', 'STORE', 'REVISION', 'STATE'],
      [
        [
          'registry',
          registry.store ?? '-',
          registry.revision ?? '-',
          formatState(registry.state, observedAtMs),
        ],
      ],
    ),
    table(
      ['CLUSTER', 'REGION', 'EXPORTS', 'STATE'],
      report.clusters.map(cluster => [
        cluster.name,
        cluster.region,
        cluster.exports.join(', ') || '-',
        formatState(cluster.state, observedAtMs),
      ]),
    ),
    ...(report.liveness.length === 0 ? [] : [formatLiveness(report.liveness, observedAtMs)]),
    ...(report.steering.length === 0 ? [] : [formatIntents(report.steering, observedAtMs)]),
    table(
      ['PROXY', 'KIND', 'IDENTITY EXPIRES', 'LAST UPDATE', 'CONTROL PLANE'],
      report.proxies.map(proxy => [
        proxy.name,
        proxy.kind,
        proxy.identityExpiresMs === undefined
          ? '-'
          : `in ${formatDuration(proxy.identityExpiresMs - observedAtMs)}`,
        proxy.lastUpdateMs === undefined
          ? '-'
          : `${formatDuration(observedAtMs - proxy.lastUpdateMs)} ago`,
        formatState(proxy.state, observedAtMs),
      ]),
    ),
  ];
  if (report.notRunning.length > 0) {
    sections.push(style(`Configured but not running: ${report.notRunning.join(', ')}`, 'dim'));
  }
  return `${sections.join('\n\n')}\n`;
}

const STATE_STYLE: Record<State['kind'], Style> = {
  current: 'green',
  stale: 'yellow',
  down: 'red',
};

function formatState(state: State, nowMs: number): string {
  const text =
    state.kind === 'current'
      ? 'current'
      : state.kind === 'down'
        ? `down: ${state.reason}`
        : `stale since ${formatClock(state.sinceMs)} (${formatDuration(nowMs - state.sinceMs)}): ${state.reason}`;
  return style(text, STATE_STYLE[state.kind]);
}
