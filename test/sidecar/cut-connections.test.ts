/** Calls in flight when the connection between two sidecars is lost: what is repeated, and what never is. */

import { createServer } from 'node:http';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  eventually,
  type RunningGateway,
  type RunningSidecar,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { Door } from '../support/door.ts';
import { call } from '../support/http-client.ts';

/** Of GETs, and of POSTs. */
const IN_FLIGHT = 20;
const STATUS_LINE_CUT = 'HTTP/1.1 20';
/** Answered at once: what the application wrote before it has come too. */
const AFTER = 'GET /after';

describe('a connection that is lost under calls in flight', function () {
  this.timeout(30_000);
  let mesh: TestMesh;
  let web: RunningSidecar;
  let payments: RunningSidecar;
  let door: Door;
  let arrivals: Map<string, number>;
  /** What the application writes to each request that it goes on to hold. */
  let begun: string;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    arrivals = new Map();
    begun = '';
    // Holds what it is asked first, and answers what it is asked again.
    const application = await mesh.serve(
      createServer((request, response) => {
        const asked = `${request.method} ${request.url}`;
        if (asked === AFTER) {
          response.end();
          return;
        }
        const before = arrivals.get(asked) ?? 0;
        arrivals.set(asked, before + 1);
        if (before > 0) response.end(asked);
        else if (begun !== '') response.socket?.write(begun);
      }),
    );
    web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    payments = await mesh.sidecar({
      cluster: 'west',
      workload: 'a',
      services: [{ name: 'payments', port: 80, protocol: 'http', application }],
    });
  });
  afterEach(async () => {
    await door.set('shut');
    await mesh.stop();
  });

  async function gateway(): Promise<RunningGateway> {
    const started = await mesh.gateway('west', '1ms');
    const sni = formatSni(serviceSni('west', 'payments'));
    const { hash, workload } = testEndpoint(mesh, 'payments', {
      cluster: 'west',
      workload: 'a',
      addresses: [],
    });
    started.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: [{ hash, workload, address: payments.inbound }],
    });
    return started;
  }

  function lead(path: 'direct' | 'gateway', ...addresses: SocketAddress[]): string {
    const endpoint = { cluster: 'west', workload: 'a', addresses, path };
    return announce(web.link, 'payments', 'http', [testEndpoint(mesh, 'payments', endpoint)]);
  }

  /** All of them with the application, and unanswered; resolves with what became of them. */
  async function inFlight(host: string): Promise<Promise<string[]>[]> {
    const callAll = (method: string): Promise<string[]> =>
      Promise.all(
        Array.from({ length: IN_FLIGHT }, async (_, i) => {
          const body = method === 'POST' ? { body: 'once' } : {};
          const reply = await call(web.outboundHttp, { host, method, path: `/${i}`, ...body });
          return reply.status === 200 ? reply.body.toString() : String(reply.status);
        }),
      );
    const all = ['GET', 'POST'].map(callAll);
    await eventually('all are in flight', () => arrivals.size === 2 * IN_FLIGHT);
    return all;
  }

  async function expectRepeated(all: Promise<string[]>[]): Promise<void> {
    const [gets, posts] = await Promise.all(all);
    expect(gets).to.deep.equal(Array.from({ length: IN_FLIGHT }, (_, i) => `GET /${i}`));
    expect(new Set(posts)).to.deep.equal(new Set(['502']));
    for (const [asked, count] of arrivals) expect(count, asked).to.equal(asked[0] === 'G' ? 2 : 1);
  }

  for (const [how, lose] of [
    ['by the end of the drain of its gateway', (first: RunningGateway) => first.stop()],
    ['with a gateway that is killed', () => door.set('shut')],
    ['without a word: its packets vanish', () => door.set('held')],
  ] as const) {
    it(`${how} costs no GET through the other gateway, and carries out no POST twice`, async () => {
      const [first, second] = [await gateway(), await gateway()];
      door = await new Door(() => first.address).set('open');
      const host = lead('gateway', door.address);
      const all = await inFlight(host);
      lead('gateway', door.address, second.address);
      await lose(first);
      await expectRepeated(all);
    });
  }

  it('behind one address of several gateways is made anew there', async () => {
    const [first, second] = [await gateway(), await gateway()];
    let current = first;
    door = await new Door(() => current.address).set('open');
    const all = await inFlight(lead('gateway', door.address));
    current = second;
    await first.stop();
    await expectRepeated(all);
  });

  it('when some of a head has come, and none of it was passed on, is no different', async () => {
    begun = STATUS_LINE_CUT;
    door = await new Door(() => payments.inbound).set('open');
    const host = lead('direct', door.address);
    const all = await inFlight(host);
    await call(web.outboundHttp, { host, path: '/after' });
    lead('direct', door.address, payments.inbound);
    await door.set('shut');
    await expectRepeated(all);
  });
});
