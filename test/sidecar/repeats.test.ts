/** What happens to a request whose application does not answer: in time, or at all. */

import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { expect } from 'chai';
import { DEFAULT_POLICY } from '../../src/mesh/upstream.ts';
import { announce, type RunningSidecar, TestMesh } from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { type Backend, metricsOf, startBackend } from './pair.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const never: Answer = () => undefined;
const reset: Answer = request => request.socket.resetAndDestroy();

describe('a request that is not answered', () => {
  let mesh: TestMesh;
  let web: RunningSidecar;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
  });
  afterEach(() => mesh.stop());

  async function pairOf(bad: Answer, policy = {}): Promise<[string, Backend, Backend]> {
    const backends = [await startBackend(mesh, 'bad', bad), await startBackend(mesh, 'good')];
    const endpoints = backends.map(({ endpoint }) => endpoint);
    return [announce(web.link, 'checkout', 'http', endpoints, policy), ...backends] as [
      string,
      Backend,
      Backend,
    ];
  }

  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
    it(`goes elsewhere when it is a ${method} and the connection breaks`, async () => {
      const [host, bad, good] = await pairOf(reset);
      const body = method === 'PUT' ? { body: 'once' } : {};
      const reply = await call(web.outboundHttp, { host, method, ...body });
      expect(reply.status).to.equal(200);
      expect([bad.requests.length, good.requests.length]).to.deep.equal([1, 1]);
    });

    it(`goes elsewhere when it is a ${method} and no answer comes in time`, async () => {
      const [host, bad, good] = await pairOf(never, { tryTimeoutMs: 50 });
      const reply = await call(web.outboundHttp, { host, method });
      expect(reply.status).to.equal(200);
      expect([bad.requests.length, good.requests.length]).to.deep.equal([1, 1]);
    });
  }

  for (const method of ['POST', 'PATCH']) {
    it(`is never carried out twice when it is a ${method}`, async () => {
      const [host, bad, good] = await pairOf(reset);
      const reply = await call(web.outboundHttp, { host, method, body: 'once' });
      expect(reply.headers['x-isthmus-error']).to.equal('upstream-failed');
      expect([bad.requests.length, good.requests.length]).to.deep.equal([1, 0]);
    });

    it(`is waited for when it is a ${method}, to its deadline and no longer`, async () => {
      const [host, bad, good] = await pairOf(never, { tryTimeoutMs: 20 });
      const headers = { 'x-envoy-upstream-rq-timeout-ms': '300' };
      const reply = await call(web.outboundHttp, { host, method, headers, body: 'once' });
      expect([reply.status, reply.headers['x-isthmus-error']]).to.deep.equal([
        504,
        'deadline-exceeded',
      ]);
      expect([bad.requests.length, good.requests.length]).to.deep.equal([1, 0]);
    });
  }

  it('brings its body along, and is not repeated with one too big to keep', async () => {
    const sizes: number[] = [];
    const bad = await startBackend(mesh, 'bad', (request, response) => {
      request.resume().on('end', () => reset(request, response));
    });
    const good = await startBackend(mesh, 'good', (request, response) => {
      let size = 0;
      request.on('data', (bytes: Buffer) => (size += bytes.length));
      request.on('end', () => {
        sizes.push(size);
        response.end();
      });
    });
    const endpoints = [bad.endpoint, { ...good.endpoint, priority: 1 }];
    const host = announce(web.link, 'checkout', 'http', endpoints);
    const small = await call(web.outboundHttp, { host, method: 'PUT', body: 'x'.repeat(40_000) });
    expect(small.status).to.equal(200);
    const big = await call(web.outboundHttp, { host, method: 'PUT', body: 'x'.repeat(400_000) });
    expect(big.status).to.equal(502);
    expect(sizes).to.deep.equal([40_000]);
  });

  it('is not repeated once its answer has begun', async () => {
    const [host, bad, good] = await pairOf((_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      setTimeout(() => response.socket?.resetAndDestroy(), 20);
    });
    expect((await call(web.outboundHttp, { host })).status).to.equal(502);
    expect([bad.requests.length, good.requests.length]).to.deep.equal([1, 0]);
  });

  it('fails when there is nobody else to ask', async () => {
    const bad = await startBackend(mesh, 'bad', reset);
    const host = announce(web.link, 'checkout', 'http', [bad.endpoint]);
    expect((await call(web.outboundHttp, { host })).status).to.equal(502);
    expect(bad.requests.length).to.equal(1);
  });

  it('is repeated within the budget only', async () => {
    // Nothing is ejected: every second request meets the bad one.
    const [host, bad, good] = await pairOf(reset, { ejectAfterFailures: 1_000_000 });
    const statuses: number[] = [];
    for (let i = 0; i < 30; i++) {
      const some = Array.from({ length: 20 }, () => call(web.outboundHttp, { host }));
      statuses.push(...(await Promise.all(some)).map(({ status }) => status));
    }
    const attempts = bad.requests.length + good.requests.length;
    const failed = statuses.filter(status => status === 502).length;
    expect(attempts).to.be.at.most(600 + 600 * 0.2 + 200);
    expect(attempts).to.be.at.least(600 + 100);
    expect(failed).to.be.greaterThan(0);
    expect(statuses.filter(status => status === 200).length).to.equal(600 - failed);
    expect(await metricsOf(web)).to.match(
      /isthmus_unanswered_total\{[^}]*repeat="budget-exhausted"[^}]*\} [1-9]/,
    );
  });
});

describe('a deadline', () => {
  let mesh: TestMesh;
  let web: RunningSidecar;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
  });
  afterEach(() => mesh.stop());

  it("is the service's when the request names none, and is told in the answer", async () => {
    const bad = await startBackend(mesh, 'bad', never);
    const policy = { timeoutMs: 200 };
    const host = announce(web.link, 'checkout', 'http', [bad.endpoint], policy);
    const reply = await call(web.outboundHttp, { host });
    expect(reply.status).to.equal(504);
    expect(JSON.parse(reply.body.toString())).to.include({
      code: 'deadline-exceeded',
      timeoutMs: 200,
      error: `no answer of "${host}:80" within 200 ms; it may have been carried out`,
    });
  });

  for (const [asked, low, high] of [
    [{ 'x-envoy-upstream-rq-timeout-ms': '5000' }, 3_000, 5_000],
    [{ 'x-envoy-expected-rq-timeout-ms': '700' }, 1, 700],
    [{ 'x-envoy-upstream-rq-timeout-ms': '5000', 'x-envoy-expected-rq-timeout-ms': '700' }, 1, 700],
  ] as const) {
    it(`travels on as what is left of it: ${JSON.stringify(asked)}`, async () => {
      let seen: IncomingMessage['headers'] = {};
      const backend = await startBackend(mesh, 'a', (request, response) => {
        seen = request.headers;
        response.end();
      });
      const host = announce(web.link, 'checkout', 'http', [backend.endpoint]);
      await call(web.outboundHttp, { host, headers: asked });
      expect(Number(seen['x-envoy-expected-rq-timeout-ms'])).to.be.within(low, high);
      expect(seen).to.not.have.property('x-envoy-upstream-rq-timeout-ms');
    });
  }

  it('that cannot be read is none, and none is told to the callee', async () => {
    let seen: IncomingMessage['headers'] = {};
    const backend = await startBackend(mesh, 'a', (request, response) => {
      seen = request.headers;
      response.end();
    });
    const host = announce(web.link, 'checkout', 'http', [backend.endpoint]);
    const headers = { 'x-envoy-upstream-rq-timeout-ms': 'soon' };
    expect((await call(web.outboundHttp, { host, headers })).status).to.equal(200);
    expect(Object.keys(seen).filter(name => name.startsWith('x-envoy'))).to.deep.equal([]);
  });

  it('does not count the time a client takes to send its body, nor the time an answer flows', async () => {
    const backend = await startBackend(mesh, 'a', (request, response) => {
      request.resume().on('end', () => {
        response.write('begun');
        setTimeout(() => response.end(' and done'), 400);
      });
    });
    const policy = { timeoutMs: 250 };
    const host = announce(web.link, 'checkout', 'http', [backend.endpoint], policy);
    const body = await new Promise<string>((resolve, reject) => {
      const sent = httpRequest(
        { ...web.outboundHttp, method: 'PUT', headers: { host } },
        answer => {
          let text = '';
          answer.on('data', chunk => (text += String(chunk)));
          answer.on('end', () => resolve(text));
        },
      );
      sent.on('error', reject);
      sent.write('slow');
      setTimeout(() => sent.end(' body'), 500);
    });
    expect(body).to.equal('begun and done');
  });

  it('ends the search for an endpoint, too', async () => {
    const silent = await mesh.application(() => undefined);
    const endpoint = {
      ...(await startBackend(mesh, 'a')).endpoint,
      addresses: [silent],
    };
    const host = announce(web.link, 'checkout', 'http', [endpoint], { timeoutMs: 300 });
    const reply = await call(web.outboundHttp, { host });
    expect(reply.status).to.equal(504);
    expect(reply.body.toString()).to.contain('nothing of the request was sent');
  });

  it('is a minute by default', () => {
    expect(DEFAULT_POLICY.timeoutMs).to.equal(60_000);
  });
});
