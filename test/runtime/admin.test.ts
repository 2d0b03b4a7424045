import { request } from 'node:http';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { AdminServer, sendJson } from '../../src/runtime/admin.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

describe('the admin server', () => {
  let admin: AdminServer;
  let address: SocketAddress;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(async () => {
    const config = { cluster: 'east', admin: { host: '127.0.0.1', port: 0 } };
    admin = new AdminServer({ metrics: createMetrics('test'), config });
    address = await admin.listen({ host: '127.0.0.1', port: 0 });
    stop = new AbortController();
    running = admin.run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  function ask(path: string, options: { method?: string; host?: string } = {}): Promise<Answer> {
    const headers = options.host === undefined ? {} : { host: options.host };
    const method = options.method ?? 'GET';
    return new Promise((resolve, reject) => {
      request({ ...address, path, method, headers, agent: false }, response => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => {
          const type = response.headers['content-type'] ?? '';
          resolve({ status: response.statusCode ?? 0, type, body });
        });
      })
        .on('error', reject)
        .end();
    });
  }
  const json = async (path: string): Promise<unknown> => JSON.parse((await ask(path)).body);

  it('is live while it answers', async () => {
    const answer = await ask('/live');
    expect(answer).to.include({ status: 200, type: 'application/json' });
    expect(JSON.parse(answer.body)).to.deep.equal({ live: true });
  });

  it('is ready when every check is, and says what the others wait for', async () => {
    let waiting: string | undefined = 'no snapshot yet';
    admin.ready('snapshot', () => waiting);
    admin.ready('identity', () => undefined);
    expect((await ask('/ready')).status).to.equal(503);
    expect(await json('/ready')).to.deep.equal({
      ready: false,
      waiting: { snapshot: 'no snapshot yet' },
    });
    waiting = undefined;
    expect((await ask('/ready')).status).to.equal(200);
    expect(await json('/ready')).to.deep.equal({ ready: true });
  });

  it('gives metrics as Prometheus text with the component as a label', async () => {
    const answer = await ask('/metrics');
    expect(answer.status).to.equal(200);
    expect(answer.type).to.match(/^text\/plain; version=0\.0\.4/);
    expect(answer.body).to.match(/^isthmus_unsupported_runtime\{component="test"\} [01]$/m);
    expect(answer.body).to.match(/^process_cpu_seconds_total\{component="test"\} [0-9.]+$/m);
    expect(answer.body).to.match(/^process_resident_memory_bytes\{component="test"\} [0-9]{8,}$/m);
  });

  it('gives the configuration in force', async () => {
    expect(await json('/config')).to.deep.equal({
      cluster: 'east',
      admin: { host: '127.0.0.1', port: 0 },
    });
  });

  it('gives state as JSON, asked anew each time', async () => {
    let count = 0;
    admin.debug('things', () => [++count]);
    expect(await json('/debug/things')).to.deep.equal([1]);
    expect(await json('/debug/things')).to.deep.equal([2]);
  });

  it('writes maps, sets, bytes and big integers as JSON', async () => {
    admin.debug('state', () => ({
      map: new Map([['a', new Set([1, 2])]]),
      bytes: Uint8Array.of(1, 2, 3),
      buffer: Buffer.from([1, 2, 3]),
      revision: 2n ** 60n,
    }));
    expect(await json('/debug/state')).to.deep.equal({
      map: { a: [1, 2] },
      bytes: 'AQID',
      buffer: 'AQID',
      revision: '1152921504606846976',
    });
  });

  it('answers an unknown path with 404 and the paths there are', async () => {
    admin.debug('things', () => []);
    for (const path of ['/nothing', '/debug/nothing', '/debug/', '/debug/things/', '/Live']) {
      const answer = await ask(path);
      expect(answer.status, path).to.equal(404);
      const body = JSON.parse(answer.body) as { paths: string[] };
      expect(body.paths).to.include.members(['/live', '/ready', '/metrics', '/debug/things']);
    }
  });

  it('changes nothing on request: other methods are refused unless a route takes them', async () => {
    admin.route('POST', '/drain', (_request, response) => sendJson(response, 202, { drain: true }));
    expect((await ask('/live', { method: 'POST' })).status).to.equal(405);
    expect((await ask('/live', { method: 'DELETE' })).status).to.equal(405);
    expect((await ask('/drain')).status).to.equal(404);
    expect((await ask('/drain', { method: 'POST' })).status).to.equal(202);
  });

  it('answers HEAD like GET without the body', async () => {
    expect(await ask('/live', { method: 'HEAD' })).to.include({ status: 200, body: '' });
  });

  it('gives a route the query', async () => {
    admin.route('GET', '/tap', (_request, response, url) =>
      sendJson(response, 200, url.searchParams.get('bytesMax')),
    );
    expect(await json('/tap?bytesMax=10')).to.equal('10');
  });

  it('answers 500 when reading state fails, and goes on', async () => {
    admin.debug('broken', () => {
      throw new Error('out of order');
    });
    admin.route('GET', '/broken', () => Promise.reject(new Error('out of order')));
    expect((await ask('/debug/broken')).status).to.equal(500);
    expect((await ask('/broken')).status).to.equal(500);
    expect((await ask('/live')).status).to.equal(200);
  });

  for (const host of ['127.0.0.1', '127.0.0.1:9000', '[::1]:9000', 'localhost', 'localhost:9000']) {
    it(`serves a request for the host ${host}`, async () => {
      expect((await ask('/live', { host })).status).to.equal(200);
    });
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'a b']) {
    it(`refuses a request for the host ${host}, which a web page could have rebound`, async () => {
      expect((await ask('/live', { host })).status).to.equal(403);
    });
  }

  it('stops although a client keeps its connection open', async () => {
    const answer = await fetch(`http://127.0.0.1:${address.port}/live`);
    await answer.text();
    stop.abort();
    await running;
    const error: unknown = await ask('/live').catch((caught: unknown) => caught);
    expect(error).to.have.property('code', 'ECONNREFUSED');
  });
});
