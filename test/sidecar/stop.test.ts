import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { expect } from 'chai';
import { eventually, TestMesh } from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { adminJson, bytePair, startPair } from './pair.ts';

describe('a sidecar that is asked to stop', () => {
  let mesh: TestMesh;
  let waiting: ServerResponse[];
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
    waiting = [];
  });
  afterEach(async () => {
    for (const response of waiting) response.destroy();
    await mesh.stop();
  });

  async function slowPair(drain: string) {
    const application = await mesh.serve(createServer((_q, response) => waiting.push(response)));
    return startPair(mesh, { protocol: 'http', application, drain });
  }

  for (const side of ['web', 'payments'] as const) {
    it(`lets calls in flight finish and takes no new ones (${side})`, async () => {
      const pair = await slowPair('10s');
      const reply = call(pair.web.outboundHttp, { host: pair.host });
      await eventually('the call arrives', () => waiting.length === 1);
      let stopped = false;
      const done = pair[side].stop().then(() => (stopped = true));
      const port = side === 'web' ? pair.web.outboundHttp : pair.payments.inbound;
      const refused = connect(port);
      const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).to.equal('ECONNREFUSED');
      expect(stopped).to.equal(false);
      waiting[0]?.end('finished');
      expect((await reply).body.toString()).to.equal('finished');
      await done;
    });

    it(`cuts what has not finished when the drain time is over (${side})`, async () => {
      const pair = await slowPair('50ms');
      const reply = call(pair.web.outboundHttp, { host: pair.host }).then(
        ({ status }) => status,
        () => 'broken',
      );
      await eventually('the call arrives', () => waiting.length === 1);
      await pair[side].stop();
      expect(await reply).to.be.oneOf(['broken', 502]);
    });
  }

  it('stops at once when nothing is in flight', async () => {
    const pair = await slowPair('1h');
    const reply = call(pair.web.outboundHttp, { host: pair.host });
    await eventually('the call arrives', () => waiting.length === 1);
    waiting[0]?.end();
    await reply;
    await Promise.all([pair.web.stop(), pair.payments.stop()]);
  });

  it('cuts TCP connections when the drain time is over', async () => {
    const { web } = await bytePair(mesh, 'tcp', socket => socket.pipe(socket));
    const client = connect(web.outboundTcp[0]!);
    client.on('error', () => undefined);
    client.write('x');
    await once(client, 'data');
    client.destroy();
    await web.stop();
  });

  it('was ready until then', async () => {
    const pair = await slowPair('1s');
    expect(await adminJson(pair.web, '/ready')).to.deep.equal({ ready: true });
    expect(await adminJson(pair.web, '/debug/identity')).to.include({
      spiffeId: 'spiffe://east.example/ns/shop/sa/web',
    });
  });
});
