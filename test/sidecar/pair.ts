/** The usual case: "web" in east calls "payments" in west, whose application a test writes. */

import { createServer, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { SocketAddress } from '../../src/mesh/address.ts';
import type { Protocol } from '../../src/mesh/service.ts';
import type { UpstreamEndpoint } from '../../src/mesh/upstream.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  type RunningGateway,
  type RunningSidecar,
  serviceSni,
  type TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';

export interface Pair {
  readonly host: string;
  readonly web: RunningSidecar;
  readonly payments: RunningSidecar;
  readonly gateway: RunningGateway | undefined;
}

export type Path = 'direct' | 'gateway';

export interface PairSpec {
  readonly protocol: Protocol;
  readonly application: SocketAddress;
  readonly path?: Path;
  readonly drain?: string;
}

export async function httpPair(
  mesh: TestMesh,
  onRequest: RequestListener,
  path: Path = 'direct',
): Promise<Pair> {
  const application = await mesh.serve(createServer(onRequest));
  return startPair(mesh, { protocol: 'http', application, path });
}

/** An application that speaks bytes, behind an HTTP or a TCP port. */
export async function bytePair(
  mesh: TestMesh,
  protocol: Protocol,
  onConnection: (socket: Socket) => void,
  path: Path = 'direct',
): Promise<Pair> {
  const application = await mesh.application(onConnection);
  return startPair(mesh, { protocol, application, path });
}

export async function startPair(mesh: TestMesh, spec: PairSpec): Promise<Pair> {
  const { protocol, application, path = 'direct' } = spec;
  const drain = spec.drain === undefined ? {} : { drain: spec.drain };
  const payments = await mesh.sidecar({
    cluster: 'west',
    workload: 'payments',
    services: [{ name: 'payments', port: 80, protocol, application }],
    ...drain,
  });
  const web = await mesh.sidecar({
    cluster: 'east',
    workload: 'web',
    tcp: ['payments'],
    ...drain,
  });
  const gateway = path === 'gateway' ? await mesh.gateway('west') : undefined;
  const endpoint = testEndpoint(mesh, 'payments', {
    cluster: 'west',
    workload: 'payments',
    addresses: [gateway?.address ?? payments.inbound],
    path,
  });
  if (gateway !== undefined) {
    const sni = formatSni(serviceSni('west', 'payments'));
    const { hash, workload } = endpoint;
    gateway.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: [{ hash, workload, address: payments.inbound }],
    });
  }
  const host = announce(web.link, 'payments', protocol, [endpoint]);
  return { host, web, payments, gateway };
}

export interface Backend {
  readonly sidecar: RunningSidecar;
  readonly endpoint: UpstreamEndpoint;
  /** Requests that reached its application. */
  readonly requests: string[];
}

/** A workload of west that serves one service, and how to reach it directly. */
export async function startBackend(
  mesh: TestMesh,
  workload: string,
  onRequest: RequestListener = (_request, response) => response.end(workload),
  service = 'checkout',
): Promise<Backend> {
  const requests: string[] = [];
  const application = await mesh.serve(
    createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      onRequest(request, response);
    }),
  );
  const services = [{ name: service, port: 80, protocol: 'http', application }] as const;
  const sidecar = await mesh.sidecar({ cluster: 'west', workload, services });
  const addresses = [sidecar.inbound];
  const endpoint = testEndpoint(mesh, service, { cluster: 'west', workload, addresses });
  return { sidecar, endpoint, requests };
}

/** The figures of a process, as a scraper reads them. */
export async function metricsOf(process: { readonly admin: SocketAddress }): Promise<string> {
  const { host, port } = process.admin;
  return (await fetch(`http://${host}:${port}/metrics`)).text();
}

export async function adminJson(
  process: { readonly admin: SocketAddress },
  path: string,
): Promise<unknown> {
  const { host, port } = process.admin;
  return (await fetch(`http://${host}:${port}${path}`)).json();
}

/** The workloads that a sidecar sends nothing to, as its operator sees them. */
export async function outOfService(process: {
  readonly admin: SocketAddress;
}): Promise<readonly string[]> {
  const upstreams = (await adminJson(process, '/debug/upstreams')) as {
    endpoints: { workload: string; outOfService?: string }[];
  }[];
  return upstreams
    .flatMap(({ endpoints }) => endpoints)
    .filter(each => each.outOfService !== undefined)
    .map(({ workload }) => workload);
}
