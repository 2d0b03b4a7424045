/** A gateway of west on loopback with one exported service, and raw callers of it. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  GatewayListener,
  type GatewayListenerOptions,
} from '../../src/east-west-gateway/listener.ts';
import { createGatewayMetrics } from '../../src/east-west-gateway/metrics.ts';
import { Probes } from '../../src/east-west-gateway/probes.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { ClusterName, WorkloadName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import type { GatewayRoute } from '../../src/mesh/upstream.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { received, silent, testLink } from '../support/data-plane.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';
import { realHello } from '../wire/client-hello-bytes.ts';

export const SNI = 'p80.payments.shop.west.v1.isthmus.internal';
const HASH = '00000000000000aa' as EndpointHash;
const WORKLOAD = 'payments-0' as WorkloadName;

export interface TestGateway {
  readonly address: SocketAddress;
  readonly listener: GatewayListener;
  /** Connections open now, joined or not. */
  readonly open: () => number;
  /** Where the service is from now on; undefined: exported no longer. */
  readonly route: (endpoint: SocketAddress | undefined) => void;
  readonly refusals: (reason: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

export async function startGateway(
  endpoint: SocketAddress,
  options: Partial<GatewayListenerOptions> = {},
): Promise<TestGateway> {
  const { now = Date.now } = options;
  const routes = new Table<string, GatewayRoute>('routes');
  const route = (address: SocketAddress | undefined): void => {
    if (address === undefined) routes.delete(SNI);
    else routes.put(SNI, { sni: SNI, endpoints: [{ hash: HASH, workload: WORKLOAD, address }] });
  };
  route(endpoint);
  const registry = createMetrics('gateway');
  const metrics = createGatewayMetrics(registry);
  const west = testAuthority('west.example', Date.now());
  const svid = testSvid(west, 'ns/isthmus-system/sa/east-west-gateway', Date.now());
  const listener = new GatewayListener({
    table: { cluster: 'west' as ClusterName, routes },
    metrics,
    probes: new Probes({ link: testLink(svid, [west]), metrics, now }),
    log: silent,
    now,
    drainMs: 0,
    tap: () => undefined,
    ...options,
  });
  const address = await listener.listen({ host: '127.0.0.1', port: 0 });
  const abort = new AbortController();
  const done = listener.run(abort.signal);
  return {
    address,
    listener,
    route,
    open: () => metrics.open,
    refusals: async reason => {
      const metric = await registry.getSingleMetric('isthmus_gateway_refused_total')?.get();
      return metric?.values.find(value => value.labels['reason'] === reason)?.value ?? 0;
    },
    stop: () => {
      abort.abort();
      return done;
    },
  };
}

/** Its errors are seen as a close without bytes. */
export function callRaw(address: SocketAddress, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ ...address, localAddress, allowHalfOpen: true });
  return socket.on('error', () => undefined);
}

/** A legal caller is served: its hello comes back from an endpoint that echoes. */
export async function isServed(address: SocketAddress, localAddress?: string): Promise<boolean> {
  const hello = await realHello({ servername: SNI });
  const socket = callRaw(address, localAddress);
  socket.end(hello);
  return (await received(socket)).equals(hello);
}

export async function connected(socket: Socket): Promise<Socket> {
  if (socket.connecting) await once(socket, 'connect');
  return socket;
}
