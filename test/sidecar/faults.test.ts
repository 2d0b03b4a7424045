import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { expect } from 'chai';
import { onNewFault } from '../../src/runtime/faults.ts';
import { announce, eventually, TestMesh, testEndpoint } from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { metricsOf } from './pair.ts';

/** A clock that fails once, when it is looked at while what is `armed` is on the stack. */
class FaultyClock {
  armed: string | undefined;
  readonly now = (): number => {
    const { armed } = this;
    if (armed !== undefined && new Error('where').stack?.includes(armed) === true) {
      this.armed = undefined;
      throw new TypeError('a bug that a request can reach');
    }
    return Date.now();
  };
}

for (const side of ['web', 'payments'] as const) {
  describe(`an exception while the sidecar of ${side} serves a request`, () => {
    let mesh: TestMesh;
    let stopListening: () => void;
    const clock = new FaultyClock();
    let stacks: string[];
    beforeEach(() => {
      mesh = new TestMesh('east', 'west');
      stacks = [];
      stopListening = onNewFault(error => stacks.push((error as Error).stack ?? ''));
    });
    afterEach(() => {
      stopListening();
      return mesh.stop();
    });

    async function start(onRequest: RequestListener) {
      const application = await mesh.serve(createServer(onRequest));
      const now = clock.now;
      const payments = await mesh.sidecar({
        ...{ cluster: 'west', workload: 'payments' },
        services: [{ name: 'payments', port: 80, protocol: 'http', application }],
        ...(side === 'payments' ? { now } : {}),
      });
      const web = await mesh.sidecar({
        ...{ cluster: 'east', workload: 'web' },
        ...(side === 'web' ? { now } : {}),
      });
      const endpoint = testEndpoint(mesh, 'payments', {
        ...{ cluster: 'west', workload: 'payments', addresses: [payments.inbound] },
      });
      const host = announce(web.link, 'payments', 'http', [endpoint]);
      return { web, payments, host, faulty: side === 'web' ? web : payments };
    }

    it('ends that request alone, and is counted and told once with its stack', async () => {
      const waiting: ServerResponse[] = [];
      const { web, host, faulty } = await start((request, response) => {
        if (request.url === '/slow') waiting.push(response);
        else response.end('served');
      });
      const get = (path: string) => call(web.outboundHttp, { host, path });
      const before = faultsIn(await metricsOf(faulty));
      expect(String((await get('/')).body)).to.equal('served');
      const slow = get('/slow');
      await eventually('the slow one is at the application', () => waiting.length === 1);
      clock.armed = 'conversation';
      const hit = await get('/').catch((error: unknown) => error as Error);
      if (!(hit instanceof Error)) expect(hit.status).to.equal(502);
      expect(clock.armed).to.equal(undefined);
      waiting[0]?.end('served late');
      expect(String((await slow).body)).to.equal('served late');
      expect(String((await get('/')).body)).to.equal('served');
      expect(faultsIn(await metricsOf(faulty)) - before).to.equal(1);
      expect(stacks).to.have.length(1);
      expect(stacks[0]).to.include('a bug that a request can reach').and.include('conversation');
    });

    it('is none when nothing fails', async () => {
      const { web, host, faulty } = await start((_request, response) => response.end('served'));
      const before = faultsIn(await metricsOf(faulty));
      const answer = await call(web.outboundHttp, { host, path: '/' });
      expect(String(answer.body)).to.equal('served');
      expect(faultsIn(await metricsOf(faulty))).to.equal(before);
      expect(stacks).to.deep.equal([]);
    });
  });
}

function faultsIn(metrics: string): number {
  return Number(/^isthmus_faults_total\{[^}]*\} ([0-9]+)$/m.exec(metrics)?.[1]);
}
