import { createServer } from 'node:http';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  type RunningGateway,
  type RunningSidecar,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';

const CALLERS = 8;
/** Of calls answered in each phase. */
const ENOUGH = 200;

describe('under load, a restart of both gateways one after the other', () => {
  let mesh: TestMesh;
  let web: RunningSidecar;
  let payments: RunningSidecar;
  let seen: Map<string, number>;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    seen = new Map();
    const application = await mesh.serve(
      createServer((request, response) => {
        const id = request.url ?? '';
        seen.set(id, (seen.get(id) ?? 0) + 1);
        response.end(id);
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

  async function gateway(): Promise<RunningGateway> {
    const started = await mesh.gateway('west', '500ms');
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

  it('loses no call but those in flight on a connection that is cut', async function () {
    this.timeout(60_000);
    const [first, second] = [await gateway(), await gateway()];
    const host = lead(first, second);
    let answered = 0;
    let next = 0;
    let isOver = false;
    let stops = 0;
    let isStopping = false;
    const lost: string[] = [];
    const caller = async (): Promise<void> => {
      while (!isOver) {
        const path = `/${next++}`;
        const [stopsBefore, wasStopping] = [stops, isStopping];
        const reply = await call(web.outboundHttp, { host, path });
        if (reply.status === 502 && (wasStopping || isStopping || stops > stopsBefore)) {
          lost.push(path);
          continue;
        }
        expect(`${reply.status} ${reply.body.toString()}`).to.equal(`200 ${path}`);
        answered++;
      }
    };
    const stop = async (gateway: RunningGateway): Promise<void> => {
      isStopping = true;
      await gateway.stop();
      isStopping = false;
      stops++;
    };
    const calling = Promise.all(Array.from({ length: CALLERS }, caller));
    /** Fails with the first call that fails; mocha's limit bounds the wait. */
    const more = async (): Promise<void> => {
      const enough = answered + ENOUGH;
      while (answered < enough) await Promise.race([calling, new Promise(setImmediate)]);
    };
    await more();
    await stop(first);
    await more();
    const third = await gateway();
    lead(third, second);
    await more();
    await stop(second);
    await more();
    isOver = true;
    await calling;
    // One for each caller and cut at most, and nobody is told twice.
    expect(lost.length).to.be.at.most(2 * CALLERS);
    expect([...seen.keys()].filter(path => !lost.includes(path))).to.have.length(answered);
  });
});
