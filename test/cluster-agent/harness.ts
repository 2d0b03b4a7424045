/** An agent and its proxies in this process, over real TLS on loopback, with a registry in memory. */

import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import * as v from 'valibot';
import {
  type AgentLink,
  type AgentLinkOptions,
  createJoinToken,
  linkToAgent,
} from '../../src/cluster-agent/client.ts';
import { type ClusterAgent, createClusterAgent } from '../../src/cluster-agent/cluster-agent.ts';
import { agentConfigSchema } from '../../src/cluster-agent/config.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import type { InboundName } from '../../src/mesh/callers.ts';
import { parseClusterName, parseWorkloadName } from '../../src/mesh/names.ts';
import { parseTrustDomain, requireSpiffeId, type SpiffeId } from '../../src/mesh/spiffe-id.ts';
import { gatewayId } from '../../src/mesh/system-identities.ts';
import { supervise } from '../../src/runtime/supervise.ts';
import { writeMembership } from '../support/cluster-set.ts';
import type { FakeRegistry } from './fake-registry.ts';

export const LOG = pino({ level: process.env['ISTHMUS_LOG'] ?? 'silent' });
export const CLUSTER = parseClusterName('east');
export const TRUST_DOMAIN = parseTrustDomain('east.example');
export const WEB = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');

export const SERVICES = `services:
  - name: web
    namespace: shop
    ports: [{ port: 80, protocol: http }]
    endpoints:
      - { workload: web-0, serviceAccount: web, sidecar: 127.0.0.1:1001 }
  - name: checkout
    namespace: shop
    ports: [{ port: 80, protocol: http }, { port: 9000, protocol: tcp }]
    export: true
    endpoints:
      - { workload: checkout-0, serviceAccount: checkout, sidecar: 127.0.0.1:1002 }
`;

export interface RunningAgent extends ClusterAgent {
  stop(): Promise<void>;
}

export interface AgentPlace {
  readonly dir: string;
  readonly registry: FakeRegistry;
  /** Ports to come back on. */
  readonly addresses?: ClusterAgent['addresses'];
  readonly now?: () => number;
  /** Beside or instead of what every test has. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export async function startAgent(place: AgentPlace): Promise<RunningAgent> {
  const { dir, registry, addresses } = place;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const at = (address: SocketAddress | undefined): string => `127.0.0.1:${address?.port ?? 0}`;
  const config = v.parse(agentConfigSchema, {
    cluster: CLUSTER,
    trustDomain: TRUST_DOMAIN,
    locality: { region: 'us-east', zone: 'us-east-1' },
    clusterSet: 'clusterset.example',
    registry: ['127.0.0.1:1'],
    gateways: ['127.0.0.1:21443'],
    services: 'services.yaml',
    control: at(addresses?.control),
    join: at(addresses?.join),
    admin: '127.0.0.1:0',
    stateDir: 'unused',
    ...place.config,
  });
  await writeMembership(join(dir, 'agent'), CLUSTER);
  await writeFile(join(dir, 'services.yaml'), SERVICES, { flag: 'wx' }).catch(() => undefined);
  const agent = await createClusterAgent({
    config,
    configFile: join(dir, 'agent.yaml'),
    stateDir: join(dir, 'agent'),
    log: LOG,
    now: place.now ?? (() => Date.now()),
    registry: registry.clientOf(CLUSTER),
  });
  return { ...agent, ...running(signal => supervise(agent.tasks, signal)) };
}

export interface ProxyPlace {
  readonly dir: string;
  readonly agent: Pick<ClusterAgent, 'addresses'>;
  readonly name: string;
  readonly id?: SpiffeId;
  readonly kind?: 'sidecar' | 'gateway';
  readonly zone?: string;
  /** Ports that the sidecar serves. */
  readonly inbound?: readonly InboundName[];
  /** What the token is for, if not the proxy's own ID. */
  readonly tokenId?: SpiffeId;
  readonly tokenTtlMs?: number;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

export interface RunningLink {
  readonly link: AgentLink;
  readonly stateDir: string;
  stop(): Promise<void>;
}

/** Puts what an operator would into a new proxy's state directory; returns the link's options. */
export async function prepareProxy(place: ProxyPlace): Promise<AgentLinkOptions> {
  const { dir, agent, name, kind = 'sidecar' } = place;
  const spiffeId = place.id ?? (kind === 'gateway' ? gatewayId(TRUST_DOMAIN) : WEB);
  const stateDir = join(dir, name);
  const agentStateDir = join(dir, 'agent');
  await mkdir(stateDir, { mode: 0o700 });
  await copyFile(join(agentStateDir, 'trust-root.pem'), join(stateDir, 'trust-root.pem'));
  const id = place.tokenId ?? spiffeId;
  const ttlMs = place.tokenTtlMs ?? 60_000;
  const token =
    place.token ?? (await createJoinToken({ agentStateDir, id, ttlMs, now: () => Date.now() }));
  await writeFile(join(stateDir, 'join-token'), `${token}\n`, { mode: 0o600 });
  return {
    cluster: CLUSTER,
    trustDomain: TRUST_DOMAIN,
    proxy: {
      kind,
      name: parseWorkloadName(name),
      spiffeId,
      locality: { region: 'us-east', zone: place.zone ?? 'us-east-1' },
      inbound: place.inbound ?? [],
    },
    agent: agent.addresses,
    stateDir,
    log: LOG,
    now: () => Date.now(),
    ...(place.signal === undefined ? {} : { signal: place.signal }),
  };
}

export async function startLink(options: AgentLinkOptions): Promise<RunningLink> {
  const link = await linkToAgent(options);
  return { link, stateDir: options.stateDir, ...running(signal => link.run(signal)) };
}

export async function joinProxy(place: ProxyPlace): Promise<RunningLink> {
  return startLink(await prepareProxy(place));
}

/** Polls until `check` holds; fails with `what` after ten seconds. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

export async function debugOf<T>(agent: ClusterAgent, name: string): Promise<T> {
  const { host, port } = agent.addresses.admin;
  const response = await fetch(`http://${host}:${port}/debug/${name}`);
  return (await response.json()) as T;
}

function running(run: (signal: AbortSignal) => Promise<void>): { stop(): Promise<void> } {
  const stop = new AbortController();
  const done = run(stop.signal);
  return {
    stop: () => {
      stop.abort();
      return done;
    },
  };
}
