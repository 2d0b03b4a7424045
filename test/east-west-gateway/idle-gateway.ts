/**
 * A program: a gateway on its own limits, in a process of its own because each connection takes two
 * descriptors here and two at its ends. Told an endpoint's address it answers with its own; told
 * "count" it answers with how many connections it holds.
 */

import { GatewayListener } from '../../src/east-west-gateway/listener.ts';
import { createGatewayMetrics } from '../../src/east-west-gateway/metrics.ts';
import { Probes } from '../../src/east-west-gateway/probes.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { ClusterName, WorkloadName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import type { GatewayRoute } from '../../src/mesh/upstream.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { silent, testLink } from '../support/data-plane.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';

const SNI = 'p80.payments.shop.west.v1.isthmus.internal';

const routes = new Table<string, GatewayRoute>('routes');
const metrics = createGatewayMetrics(createMetrics('gateway'));
const west = testAuthority('west.example', Date.now());
const svid = testSvid(west, 'ns/isthmus-system/sa/east-west-gateway', Date.now());
const gateway = new GatewayListener({
  table: { cluster: 'west' as ClusterName, routes },
  metrics,
  probes: new Probes({ link: testLink(svid, [west]), metrics, now: Date.now }),
  log: silent,
  now: Date.now,
  drainMs: 0,
  tap: () => undefined,
});

process.on('message', (message: SocketAddress | 'count') => void answer(message));

async function answer(message: SocketAddress | 'count'): Promise<void> {
  if (message === 'count') {
    process.send?.(gateway.connections().length);
    return;
  }
  const endpoint = {
    hash: '00000000000000aa' as EndpointHash,
    workload: 'payments-0' as WorkloadName,
    address: message,
  };
  routes.put(SNI, { sni: SNI, endpoints: [endpoint] });
  process.send?.(await gateway.listen({ host: '127.0.0.1', port: 0 }));
}
