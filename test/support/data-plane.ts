/**
 * Sidecars and gateways in this process, on loopback, fed from tables a test writes instead of an agent.
 * Identities are real: each test cluster is an authority with its own root.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { pino } from 'pino';
import type { AgentLink } from '../../src/cluster-agent/client.ts';
import { gatewayConfig } from '../../src/east-west-gateway/config.ts';
import {
  type AssembledGateway,
  assembleGateway,
} from '../../src/east-west-gateway/east-west-gateway.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { type InboundName, inboundName } from '../../src/mesh/callers.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { ClusterName, Namespace, ServiceName, WorkloadName } from '../../src/mesh/names.ts';
import { endpointHash, type Protocol, serviceHost } from '../../src/mesh/service.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import {
  DEFAULT_OVERPROVISIONING,
  DEFAULT_POLICY,
  type GatewayRoute,
  type Upstream,
  type UpstreamEndpoint,
  type UpstreamName,
  type UpstreamPolicy,
  upstreamName,
} from '../../src/mesh/upstream.ts';
import { parseConfig } from '../../src/runtime/config.ts';
import { listen } from '../../src/runtime/listen.ts';
import { supervise, type Task } from '../../src/runtime/supervise.ts';
import { sidecarConfig } from '../../src/sidecar/config.ts';
import { type AssembledSidecar, assembleSidecar } from '../../src/sidecar/sidecar.ts';
import type { Svid, SvidSource } from '../../src/trust-federation/identity/svid.ts';
import { formatSni } from '../../src/wire/sni.ts';
import { idOf, type TestAuthority, testAuthority, testSvid } from '../trust-federation/pki.ts';

export const silent = pino({ level: 'silent' });

export class TestIdentity implements SvidSource {
  readonly #observers = new Set<() => void>();
  #svid: Svid;

  constructor(svid: Svid) {
    this.#svid = svid;
  }
  current(): Svid {
    return this.#svid;
  }
  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }
  rotate(svid: Svid): void {
    this.#svid = svid;
    for (const observer of this.#observers) observer();
  }
}

/** What an agent would have sent, written by the test. */
export interface TestLink extends AgentLink {
  readonly identity: TestIdentity;
  readonly bundles: Table<TrustDomain, TrustBundle>;
  readonly callers: Table<InboundName, ReadonlySet<TrustDomain>>;
  readonly upstreams: Table<UpstreamName, Upstream>;
  readonly hosts: Table<string, UpstreamName>;
  readonly gatewayRoutes: Table<string, GatewayRoute>;
}

export function testLink(svid: Svid, trusted: readonly TestAuthority[]): TestLink {
  const bundles = new Table<TrustDomain, TrustBundle>('bundles');
  for (const { trustDomain, bundle } of trusted) bundles.put(trustDomain, bundle);
  return {
    identity: new TestIdentity(svid),
    bundles,
    callers: new Table('callers'),
    upstreams: new Table('upstreams'),
    hosts: new Table('hosts'),
    held: new Table('held'),
    foundUnreachable: () => undefined,
    gatewayRoutes: new Table('gateway-routes'),
    jwtSvid: () => Promise.reject(new Error('this link has no agent')),
    reportLoads: () => undefined,
    peerGateways: new Table('peer-gateways'),
    reportPaths: () => undefined,
    status: () => ({ connected: true, sinceMs: 0, lastUpdateMs: 0, source: 'agent' }),
    run: () => Promise.resolve(),
  };
}

export interface Running {
  stop(): Promise<void>;
}

export interface RunningSidecar extends AssembledSidecar, Running {
  readonly link: TestLink;
}

export interface RunningGateway extends AssembledGateway, Running {
  readonly link: TestLink;
}

export interface TestService {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly application: SocketAddress;
}

export interface SidecarSpec {
  readonly cluster: string;
  readonly workload: string;
  readonly services?: readonly TestService[];
  /** Names of services with a local TCP port of their own. */
  readonly tcp?: readonly string[];
  readonly svid?: Svid;
  readonly now?: () => number;
  /** Default: always 0, which puts endpoints in their order. */
  readonly random?: () => number;
  readonly drain?: string;
}

/** Everything a test starts, stopped together. */
export class TestMesh {
  readonly authorities: Readonly<Record<string, TestAuthority>>;
  readonly #running: (() => Promise<void>)[] = [];

  constructor(...clusters: readonly string[]) {
    this.authorities = Object.fromEntries(
      clusters.map(name => [name, testAuthority(`${name}.example`, Date.now())]),
    );
  }

  authority(cluster: string): TestAuthority {
    const authority = this.authorities[cluster];
    if (authority === undefined) throw new Error(`no test cluster "${cluster}"`);
    return authority;
  }

  /** Of the workload whose service account is the workload's name. */
  svid(cluster: string, workload: string): Svid {
    return testSvid(this.authority(cluster), `ns/shop/sa/${workload}`, Date.now());
  }

  async sidecar(spec: SidecarSpec): Promise<RunningSidecar> {
    const { cluster, workload, services = [], tcp = [] } = spec;
    const config = parseConfig(
      JSON.stringify({
        cluster,
        trustDomain: `${cluster}.example`,
        workload: { name: workload, namespace: 'shop', serviceAccount: workload },
        locality: { region: cluster, zone: '' },
        agent: { control: '127.0.0.1:1', join: '127.0.0.1:2' },
        inbound: {
          listen: '127.0.0.1:0',
          services: services.map(({ name, application, ...rest }) => ({
            service: `shop/${name}`,
            application: formatAddress(application),
            ...rest,
          })),
        },
        outbound: {
          http: '127.0.0.1:0',
          tcp: tcp.map(name => ({
            listen: '127.0.0.1:0',
            service: `${name}.shop.svc.clusterset.local:80`,
          })),
        },
        admin: '127.0.0.1:0',
        stateDir: 'unused',
        ...(spec.drain === undefined ? {} : { drain: spec.drain }),
      }),
      'test',
      sidecarConfig,
    );
    const link = testLink(
      spec.svid ?? this.svid(cluster, workload),
      Object.values(this.authorities),
    );
    for (const { name } of services) exportTo(link, name, Object.values(this.authorities));
    const { now = Date.now, random = () => 0 } = spec;
    const sidecar = await assembleSidecar({
      config,
      stateDir: config.stateDir,
      link,
      log: silent,
      now,
      random,
    });
    return { ...sidecar, link, stop: this.#run(sidecar.tasks) };
  }

  async gateway(
    cluster: string,
    drain = '100ms',
    trusted: readonly TestAuthority[] = Object.values(this.authorities),
  ): Promise<RunningGateway> {
    const config = parseConfig(
      JSON.stringify({
        cluster,
        trustDomain: `${cluster}.example`,
        name: `gateway-${cluster}-0`,
        agent: { control: '127.0.0.1:1', join: '127.0.0.1:2' },
        listen: '127.0.0.1:0',
        admin: '127.0.0.1:0',
        stateDir: 'unused',
        drain,
      }),
      'test',
      gatewayConfig,
    );
    const id = 'ns/isthmus-system/sa/east-west-gateway';
    const link = testLink(testSvid(this.authority(cluster), id, Date.now()), trusted);
    const gateway = await assembleGateway({
      config,
      stateDir: config.stateDir,
      link,
      log: silent,
      now: Date.now,
    });
    return { ...gateway, link, stop: this.#run(gateway.tasks) };
  }

  /** A TCP server on a free port. */
  async application(onConnection: (socket: Socket) => void): Promise<SocketAddress> {
    return this.serve(createServer({ allowHalfOpen: true }, onConnection));
  }

  async serve(server: Server): Promise<SocketAddress> {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
    const address = await listen(server, { host: '127.0.0.1', port: 0 });
    this.#running.push(async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return address;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(stop => stop()));
  }

  #run(tasks: readonly Task[]): () => Promise<void> {
    const abort = new AbortController();
    const done = supervise(tasks, abort.signal);
    const stop = (): Promise<void> => {
      abort.abort();
      return done;
    };
    this.#running.push(stop);
    return stop;
  }
}

export interface EndpointSpec {
  readonly cluster: string;
  readonly workload: string;
  readonly addresses: readonly SocketAddress[];
  readonly path?: 'direct' | 'gateway';
  readonly priority?: number;
  readonly weight?: number;
}

export function testEndpoint(
  mesh: TestMesh,
  service: string,
  spec: EndpointSpec,
): UpstreamEndpoint {
  const cluster = spec.cluster as ClusterName;
  const workload = spec.workload as WorkloadName;
  const hash = endpointHash(cluster, workload);
  const authority = mesh.authority(spec.cluster);
  return {
    hash,
    workload,
    cluster,
    trustDomain: authority.trustDomain,
    spiffeId: idOf(authority, `ns/shop/sa/${workload}`),
    locality: { region: spec.cluster, zone: '' },
    priority: spec.priority ?? 0,
    weight: spec.weight ?? 1,
    availability: 100,
    addresses: spec.addresses,
    path: spec.path ?? 'direct',
    sni: formatSni({ ...serviceSni(cluster, service), endpoint: hash }),
  };
}

/** Tells a sidecar who may call its service, as its agent would. */
export function exportTo(
  link: TestLink,
  service: string,
  callers: readonly Pick<TestAuthority, 'trustDomain'>[],
): void {
  const trustDomains = callers.map(({ trustDomain }) => trustDomain);
  link.callers.put(inboundOf(service), new Set(trustDomains));
}

export function inboundOf(service: string): InboundName {
  return inboundName({ namespace: 'shop' as Namespace, name: service as ServiceName }, 80);
}

export function serviceSni(cluster: string, service: string, port = 80) {
  return {
    cluster: cluster as ClusterName,
    namespace: 'shop' as Namespace,
    service: service as ServiceName,
    port,
  };
}

/** Tells a sidecar of a service, as its agent would; returns the host to call it by. */
export function announce(
  link: TestLink,
  service: string,
  protocol: Protocol,
  endpoints: readonly UpstreamEndpoint[],
  policy: Partial<UpstreamPolicy> = {},
): string {
  const host = serviceHost('clusterset', 'shop' as Namespace, service as ServiceName);
  const name = upstreamName(host, 80);
  link.upstreams.put(name, {
    name,
    host,
    port: 80,
    protocol,
    policy: { ...DEFAULT_POLICY, ...policy },
    overprovisioning: [DEFAULT_OVERPROVISIONING],
    endpoints,
  });
  link.hosts.put(host, name);
  link.hosts.put(`${host}:80`, name);
  return host;
}

/** Resolves when `condition` holds; throws after five seconds of it not holding. */
export async function eventually(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never came true: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** Everything a socket receives until it is closed, whichever way. */
export function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  return new Promise(resolve => {
    const done = (): void => resolve(Buffer.concat(chunks));
    if (socket.destroyed) done();
    else socket.once('close', done);
  });
}
