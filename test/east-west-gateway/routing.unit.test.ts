import { expect } from 'chai';
import type { RoutingTable } from '../../src/east-west-gateway/routing.ts';
import { routeServerName } from '../../src/east-west-gateway/routing.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { ClusterName, WorkloadName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import type { GatewayRoute } from '../../src/mesh/upstream.ts';

const PAYMENTS = 'p80.payments.shop.west.v1.isthmus.internal';
const EMPTY = 'p80.empty.shop.west.v1.isthmus.internal';
const [A, B] = ['00000000000000aa', '00000000000000bb'];

const routes = new Table<string, GatewayRoute>('routes');
routes.put(EMPTY, { sni: EMPTY, endpoints: [] });
routes.put(PAYMENTS, {
  sni: PAYMENTS,
  endpoints: [A, B].map((hash, i) => ({
    hash: hash as EndpointHash,
    workload: `payments-${i}` as WorkloadName,
    address: { host: '127.0.0.1', port: i + 1 },
  })),
});
const table: RoutingTable = { cluster: 'west' as ClusterName, routes };

function decide(serverName: string | undefined, turn = 0): string {
  const decision = routeServerName(serverName, table, turn);
  if (decision.kind === 'probe') return 'probe';
  return decision.kind === 'routed' ? decision.endpoint.workload : decision.reason;
}

describe('a server name at the gateway', () => {
  for (const [title, serverName, expected] of [
    ['of a probe is answered here', 'probe.west.v1.isthmus.internal', 'probe'],
    ['of a probe of another cluster is not', 'probe.east.v1.isthmus.internal', 'other-cluster'],
    ['of one endpoint leads there', `e${B}.${PAYMENTS}`, 'payments-1'],
    [
      'in upper case leads to the same',
      `E${B.toUpperCase()}.${PAYMENTS.toUpperCase()}`,
      'payments-1',
    ],
    [
      'of a service not exported, in upper case, leads nowhere',
      PAYMENTS.replace('payments', 'ledger').toUpperCase(),
      'unknown-service',
    ],
    [
      'of another cluster, in upper case, leads nowhere',
      PAYMENTS.replace('west', 'east').toUpperCase(),
      'other-cluster',
    ],
    ['with a trailing dot leads to the same', `e${B}.${PAYMENTS}.`, 'payments-1'],
    ['of no endpoint leads to any', PAYMENTS, 'payments-0'],
    ['of an endpoint that is gone leads to any', `e00000000000000cc.${PAYMENTS}`, 'payments-0'],
    ['that is missing leads nowhere', undefined, 'no-server-name'],
    ['that is no mesh name leads nowhere', 'example.com', 'not-a-mesh-name'],
    ['of an Istio gateway leads nowhere', 'outbound_.80_._.payments.shop.svc', 'not-a-mesh-name'],
    ['of the admin port leads nowhere', 'localhost', 'not-a-mesh-name'],
    ['of another version leads nowhere', PAYMENTS.replace('v1', 'v2'), 'not-a-mesh-name'],
    ['of another cluster leads nowhere', PAYMENTS.replace('west', 'east'), 'other-cluster'],
    [
      'of a service not exported leads nowhere',
      PAYMENTS.replace('payments', 'ledger'),
      'unknown-service',
    ],
    ['of another port leads nowhere', PAYMENTS.replace('p80', 'p81'), 'unknown-service'],
    ['of another namespace leads nowhere', PAYMENTS.replace('shop', 'bank'), 'unknown-service'],
    ['of a service without endpoints leads nowhere', EMPTY, 'no-endpoint'],
  ] as const) {
    it(title, () => {
      expect(decide(serverName)).to.equal(expected);
    });
  }

  it('of no endpoint takes them in turn', () => {
    expect([0, 1, 2].map(turn => decide(PAYMENTS, turn))).to.deep.equal([
      'payments-0',
      'payments-1',
      'payments-0',
    ]);
  });
});
