import { createServer, type ServerResponse } from 'node:http';
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
import { call } from '../support/http-client.ts';

const CALLERS = 8;
/** Not answered before the test does. */
const HELD = '/held';
/** Of calls answered in each phase. */
const ENOUGH = 200;

describe('of two gateways', () => {
  let mesh: TestMesh;
  let web: RunningSidecar;
  let payments: RunningSidecar;
  let seen: Set<string>;
  let held: ServerResponse | undefined;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    seen = new Set();
    held = undefined;
    const application = await mesh.serve(
      createServer((request, response) => {
        const id = request.url ?? '';
        seen.add(id);
        if (id === HELD) held = response;
        else response.end(id);
      }),
    );
    web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    payments = await mesh.sidecar({
      cluster: 'west',
      workload: 'a',
      services: [{ name: 'payments', port: 80, protocol: 'http', application }],
    });
  });
  afterEach(() => mesh.stop());

  async function gateway(drain = '500ms'): Promise<RunningGateway> {
    const started = await mesh.gateway('west', drain);
    const sni = formatSni(serviceSni('west', 'payments'));
    const { hash, workload } = endpoint([]);
    started.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: [{ hash, workload, address: payments.inbound }],
    });
    return started;
  }

  function endpoint(addresses: SocketAddress[]) {
    return testEndpoint(mesh, 'payments', { cluster: 'west', workload: 'a', addresses });
  }

  function lead(...gateways: RunningGateway[]): string {
    const addresses = gateways.map(({ address }) => address);
    return announce(web.link, 'payments', 'http', [
      { ...endpoint(addresses), path: 'gateway' as const },
    ]);
  }

  it('each may be restarted under load, and no call is lost, in flight or not', async function () {
    this.timeout(60_000);
    const [first, second] = [await gateway(), await gateway()];
    const host = lead(first, second);
    let answered = 0;
    let next = 0;
    let isOver = false;
    const caller = async (): Promise<void> => {
      while (!isOver) {
        const path = `/${next++}`;
        const reply = await call(web.outboundHttp, { host, path });
        expect(`${reply.status} ${reply.body.toString()}`).to.equal(`200 ${path}`);
        answered++;
      }
    };
    const calling = Promise.all(Array.from({ length: CALLERS }, caller));
    /** Fails with the first call that fails; mocha's limit bounds the wait. */
    const more = async (): Promise<void> => {
      const enough = answered + ENOUGH;
      while (answered < enough) await Promise.race([calling, new Promise(setImmediate)]);
    };
    await more();
    await first.stop();
    await more();
    const third = await gateway();
    lead(third, second);
    await more();
    await second.stop();
    await more();
    isOver = true;
    await calling;
    expect(seen).to.have.length(answered);
  });

  it('one that is asked to stop before it was probed is left at once, and does not wait for its callers', async function () {
    // The stop would take longer.
    this.timeout(25_000);
    const [first, second] = [await gateway('30s'), await gateway()];
    const waiting = call(web.outboundHttp, { host: lead(first), path: HELD });
    await eventually('the call is in flight', () => held !== undefined);
    const stopped = first.stop();
    const host = lead(first, second);
    for (let i = 0; i < ENOUGH; i++) {
      expect((await call(web.outboundHttp, { host, path: `/${i}` })).status).to.equal(200);
    }
    held?.end('late');
    expect((await waiting).body.toString()).to.equal('late');
    await stopped;
  });
});
