/**
 * What `isthmus check` judges: what each process of the fleet says of itself on its admin server.
 *
 * A question that was not answered is undefined, which is a fact as well. Shapes are what the answers
 * claim to be; `truths.ts` reads nothing that is not declared here.
 */

import { connect } from 'node:net';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import type { Freshness } from '../../mesh/cluster.ts';
import type { ProcessFacts } from '../../runtime/process-facts.ts';
import { askAdmin, askAdminBody } from '../admin-client.ts';
import {
  type AgentMember,
  allMembers,
  type Fleet,
  type FleetMember,
  type GatewayMember,
  type SidecarMember,
} from '../fleet.ts';
import { gatherLiveness, type LivenessStatus } from '../liveness-status.ts';

export interface Facts {
  /** Every process that the configuration names. */
  readonly processes: readonly ProcessFact[];
  readonly stores: readonly StoreFact[];
  readonly agents: readonly AgentFact[];
  readonly proxies: readonly ProxyFact[];
  readonly gateways: readonly GatewayFact[];
  /** How each agent judges each other cluster. */
  readonly liveness: readonly LivenessStatus[];
}

export interface ProcessFact {
  readonly name: string;
  readonly configFile: string;
  readonly admin: string;
  /** Of a cluster; the registry has none. */
  readonly cluster: string | undefined;
  /** Why it does not answer, or what it waits for; undefined when it is ready. */
  readonly problem: string | undefined;
  readonly says: ProcessFacts | undefined;
  /** How far its clock is ahead of this one's, give or take half the time the answer took. */
  readonly aheadMs: number | undefined;
}

export interface StoreFact {
  readonly registry: string;
  readonly kind: string;
  readonly outage?: string;
  /** What went back in it, while no operator has confirmed that. */
  readonly frozen?: string;
}

export interface AgentFact {
  readonly name: string;
  readonly cluster: string;
  readonly registry: {
    readonly connected: boolean;
    readonly sinceMs: number;
    /** Why not, as far as it knows. */
    readonly problem?: string;
    readonly leaseExpiresMs?: number;
    /** Why its last publication failed, while it does. */
    readonly publication?: { readonly code: string; readonly message: string };
    /** What the registry has to say about its records. */
    readonly notices: readonly {
      readonly kind: string;
      readonly subject: string;
      readonly message: string;
    }[];
  };
  readonly clusters: readonly KnownCluster[];
  readonly refusals: readonly {
    readonly cluster: string;
    readonly kind: string;
    readonly message: string;
  }[];
  readonly proxies: readonly {
    readonly name: string;
    readonly connected: boolean;
    readonly sinceMs: number;
    readonly nack?: { readonly type: string; readonly message: string };
  }[];
}

/** A cluster as one agent knows it. */
export interface KnownCluster {
  readonly name: string;
  readonly local: boolean;
  readonly freshness?: Freshness;
  readonly config?: { readonly gateways: readonly SocketAddress[] };
  readonly bundle?: { readonly trustDomain: string; readonly sequence: number };
  readonly exports: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly exportTo: 'all' | readonly string[];
  }[];
}

export interface ProxyFact {
  readonly name: string;
  readonly cluster: string;
  readonly link: { readonly connected: boolean; readonly sinceMs: number; readonly source: string };
  readonly identity: {
    readonly spiffeId: string;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly problem?: string;
  };
  readonly bundles: readonly { readonly trustDomain: string; readonly sequence: number }[];
  /** Upstream → endpoints it keeps although its agent no longer names them. */
  readonly held: Readonly<Record<string, readonly unknown[]>>;
}

export interface GatewayFact {
  readonly name: string;
  readonly address: string;
  /** Why it takes no connection from here; undefined when it does. */
  readonly problem: string | undefined;
}

/** Throws nothing: what cannot be reached is what we came to find. */
export async function gatherFacts(fleet: Fleet, now: () => number): Promise<Facts> {
  const members = allMembers(fleet);
  const proxies = fleet.clusters.flatMap(({ gateway, sidecars }) => [gateway, ...sidecars]);
  const [processes, store, agents, proxyFacts, gateways, liveness] = await Promise.all([
    Promise.all(members.map(member => gatherProcess(member, now))),
    askAdminBody<Omit<StoreFact, 'registry'>>(fleet.registry.admin, '/debug/store'),
    Promise.all(fleet.clusters.map(({ agent }) => gatherAgent(agent))),
    Promise.all(proxies.map(gatherProxy)),
    Promise.all(fleet.clusters.map(({ gateway }) => gatherGateway(gateway))),
    Promise.all(fleet.clusters.map(gatherLiveness)),
  ]);
  return {
    processes,
    stores: store === undefined ? [] : [{ ...store, registry: fleet.registry.name }],
    agents: agents.filter(each => each !== undefined),
    proxies: proxyFacts.filter(each => each !== undefined),
    gateways,
    liveness: liveness.flat(),
  };
}

async function gatherProcess(member: FleetMember, now: () => number): Promise<ProcessFact> {
  const askedMs = now();
  const says = await askAdminBody<ProcessFacts>(member.admin, '/debug/process');
  const answeredMs = now();
  const ready = await askAdmin<{ waiting?: Record<string, string> }>(member.admin, '/ready');
  return {
    name: member.name,
    configFile: member.configFile,
    admin: formatAddress(member.admin),
    cluster: member.component === 'registry' ? undefined : member.cluster,
    problem: problemOf(ready),
    says,
    aheadMs: says === undefined ? undefined : says.nowMs - (askedMs + answeredMs) / 2,
  };
}

function problemOf(
  ready: Awaited<ReturnType<typeof askAdmin<{ waiting?: Record<string, string> }>>>,
): string | undefined {
  if (ready.kind === 'unreachable') return ready.reason;
  if (ready.status === 200) return undefined;
  return `not ready: ${Object.values(ready.body.waiting ?? {}).join(', ')}`;
}

async function gatherAgent({ name, cluster, admin }: AgentMember): Promise<AgentFact | undefined> {
  const [registry, clusters, refusals, proxies] = await Promise.all([
    askAdminBody<AgentFact['registry']>(admin, '/debug/registry'),
    askAdminBody<AgentFact['clusters']>(admin, '/debug/clusters'),
    askAdminBody<AgentFact['refusals']>(admin, '/debug/claims'),
    askAdminBody<AgentFact['proxies']>(admin, '/debug/proxies'),
  ]);
  if (registry === undefined) return undefined;
  return {
    name,
    cluster,
    registry,
    clusters: clusters ?? [],
    refusals: refusals ?? [],
    proxies: proxies ?? [],
  };
}

async function gatherProxy(member: GatewayMember | SidecarMember): Promise<ProxyFact | undefined> {
  const { name, cluster, admin } = member;
  const [link, identity, bundles, held] = await Promise.all([
    askAdminBody<ProxyFact['link']>(admin, '/debug/agent'),
    askAdminBody<ProxyFact['identity']>(admin, '/debug/identity'),
    askAdminBody<ProxyFact['bundles']>(admin, '/debug/bundles'),
    askAdminBody<ProxyFact['held']>(admin, '/debug/held'),
  ]);
  if (link === undefined || identity === undefined) return undefined;
  return { name, cluster, link, identity, bundles: bundles ?? [], held: held ?? {} };
}

const CONNECT_MS_MAX = 2_000;

async function gatherGateway({ name, listen }: GatewayMember): Promise<GatewayFact> {
  const problem = await new Promise<string | undefined>(resolve => {
    const socket = connect({ ...listen, timeout: CONNECT_MS_MAX });
    const settle = (reason: string | undefined): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once('connect', () => settle(undefined));
    socket.once('timeout', () => settle(`no answer within ${CONNECT_MS_MAX / 1000} s`));
    socket.once('error', error => settle(error.message));
  });
  return { name, address: formatAddress(listen), problem };
}
