import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually, received, TestMesh } from '../support/data-plane.ts';
import { call, keepAliveAgent, sendRaw } from '../support/http-client.ts';
import { bytePair, httpPair, type Path, startPair } from './pair.ts';

const MB = 1024 * 1024;
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

for (const path of ['direct', 'gateway'] as const satisfies readonly Path[]) {
  describe(`an HTTP call, ${path}`, () => {
    let mesh: TestMesh;
    beforeEach(() => {
      mesh = new TestMesh('east', 'west');
    });
    afterEach(() => mesh.stop());

    it('reaches the application by name, with its method, path, headers and body', async () => {
      const { host, web } = await httpPair(
        mesh,
        (request, response) => {
          const seen = [request.method, request.url, request.headers.host, request.headers['x-a']];
          request.on('data', chunk => seen.push(String(chunk)));
          request.on('end', () => {
            response.writeHead(201, 'Made', [
              ['Set-Cookie', 'a=1'],
              ['Set-Cookie', 'b=2'],
            ]);
            response.end(JSON.stringify(seen));
          });
        },
        path,
      );
      const reply = await call(web.outboundHttp, {
        host: `${host}:80`,
        method: 'POST',
        path: '/a?b=%2e',
        headers: { 'X-A': 'ok' },
        body: 'hello',
      });
      expect(reply.status).to.equal(201);
      expect(reply.headers['set-cookie']).to.deep.equal(['a=1', 'b=2']);
      expect(JSON.parse(reply.body.toString())).to.deep.equal([
        'POST',
        '/a?b=%2e',
        host,
        'ok',
        'hello',
      ]);
    });

    it('carries the verified identity of the caller, whatever the caller claims', async () => {
      const { host, web } = await httpPair(
        mesh,
        (request, response) => response.end(JSON.stringify(request.rawHeaders)),
        path,
      );
      const spoofed = {
        'X-Forwarded-Client-Cert': 'By=x;URI=spiffe://west.example/ns/shop/sa/admin',
        'x-isthmus-anything': '1',
      };
      const reply = await call(web.outboundHttp, { host, headers: spoofed });
      const seen = JSON.parse(reply.body.toString()) as string[];
      const identity =
        'By=spiffe://west.example/ns/shop/sa/payments;URI=spiffe://east.example/ns/shop/sa/web';
      expect(seen).to.deep.equal(['host', host, 'x-forwarded-client-cert', identity]);
    });

    it('streams 20 MB both ways unchanged', async () => {
      const body = randomBytes(20 * MB);
      const { host, web } = await httpPair(
        mesh,
        (request, response) => request.pipe(response),
        path,
      );
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
        const reply = await call(web.outboundHttp, { host, method: 'PUT', body, headers });
        expect(reply.body.equals(body)).to.equal(true);
      }
    });

    it('becomes a byte stream after 101, and not a byte earlier', async () => {
      const seen = { before: '', after: '' };
      const { host, web } = await bytePair(
        mesh,
        'http',
        socket => {
          let when: keyof typeof seen = 'before';
          socket.on('data', chunk => (seen[when] += String(chunk)));
          socket.once('data', () =>
            // Time for bytes that should not come.
            setTimeout(() => {
              when = 'after';
              socket.write(SWITCHING);
              socket.write('hi,');
              socket.on('data', chunk => socket.write(chunk)).on('end', () => socket.end());
            }, 30),
          );
        },
        path,
      );
      const socket = connect(web.outboundHttp);
      let answer = '';
      socket.on('data', chunk => (answer += String(chunk)));
      socket.write(
        `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly,`,
      );
      await eventually('the echo of the early bytes', () => answer.endsWith('hi,early,'));
      expect(answer).to.match(/^HTTP\/1\.1 101 [^]*upgrade: websocket\r\n/);
      expect(seen.before).to.match(/\r\n\r\n$/);
      socket.end('over and out');
      await once(socket, 'close');
      expect(answer.endsWith('hi,early,over and out')).to.equal(true);
      expect(seen.after).to.equal('early,over and out');
    });
  });
}

describe('an HTTP call through the outbound port', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('is routed by an absolute-form URL, which must name the same host', async () => {
    const { host, web } = await httpPair(mesh, (request, response) =>
      response.end(`${request.headers.host ?? ''} ${request.url ?? ''}`),
    );
    const reply = await call(web.outboundHttp, { host, path: `http://${host}/x?y` });
    expect(reply.body.toString()).to.equal(`${host} /x?y`);
    const other = await call(web.outboundHttp, { host: 'other', path: `http://${host}/x?y` });
    expect(other.status).to.equal(400);
  });

  it('is routed by any spelling of the host', async () => {
    const { host, web } = await httpPair(mesh, (_request, response) => response.end('ok'));
    for (const spelling of [host.toUpperCase(), `${host}.`, `${host}.:80`]) {
      expect((await call(web.outboundHttp, { host: spelling })).status, spelling).to.equal(200);
    }
  });

  it('takes with it no header that is meant for one hop', async () => {
    const { host, web } = await httpPair(mesh, (request, response) => {
      response.setHeader('connection', 'x-private');
      response.setHeader('x-private', '1');
      response.setHeader('x-public', '1');
      response.setHeader('x-isthmus-error', 'forged');
      response.end(JSON.stringify(Object.keys(request.headers)));
    });
    const reply = await call(web.outboundHttp, {
      host,
      headers: { connection: 'x-secret', 'x-secret': '1', 'proxy-connection': 'a', te: 'trailers' },
    });
    expect(JSON.parse(reply.body.toString())).to.deep.equal(['host', 'x-forwarded-client-cert']);
    expect(reply.headers).to.include({ 'x-public': '1' });
    expect(reply.headers).to.not.have.any.keys('x-private', 'x-isthmus-error');
  });

  it('explains its route when asked, and only then', async () => {
    const { host, web } = await httpPair(mesh, (_request, response) => response.end('ok'));
    const plain = await call(web.outboundHttp, { host });
    expect(plain.headers).to.not.have.property('x-isthmus-upstream');
    const explained = await call(web.outboundHttp, { host, headers: { 'x-isthmus-explain': '1' } });
    expect(explained.headers['x-isthmus-upstream']).to.match(
      /^workload=payments; cluster=west; path=direct; address=127\.0\.0\.1:\d+; peer="spiffe:\/\/west\.example\/ns\/shop\/sa\/payments"; issuer="[^"]*CN=west[^"]*"; issuer-sha256=[0-9a-f]{64}; attempts=1$/,
    );
  });

  for (const [status, method] of [
    [200, 'HEAD'],
    [204, 'GET'],
    [304, 'GET'],
  ] as const) {
    it(`with ${method} and a ${status} without a body is followed by the next on its connection`, async () => {
      const { host, web } = await httpPair(mesh, (_request, response) => {
        response.writeHead(status, status === 204 ? {} : { 'content-length': '5', etag: '"e"' });
        response.end();
      });
      const agent = keepAliveAgent();
      const first = await call(web.outboundHttp, { host, method, agent });
      expect(first.status).to.equal(status);
      expect(first.body.length).to.equal(0);
      expect(first.headers['content-length']).to.equal(status === 204 ? undefined : '5');
      expect((await call(web.outboundHttp, { host, method, agent })).status).to.equal(status);
      agent.destroy();
    });
  }

  it('passes on a chunked answer as it comes', async () => {
    let finish = (): void => undefined;
    const { host, web } = await httpPair(mesh, (_request, response) => {
      response.write('one');
      finish = () => response.end('two');
    });
    const request = httpRequest({ ...web.outboundHttp, headers: { host }, agent: false }).end();
    const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    const [first] = (await once(answer, 'data')) as [Buffer];
    expect(first.toString()).to.equal('one');
    finish();
    const [second] = (await once(answer, 'data')) as [Buffer];
    expect(second.toString()).to.equal('two');
  });

  it('answers pipelined requests in their order', async () => {
    const { host, web } = await httpPair(mesh, (request, response) => {
      setTimeout(() => response.end(request.url), request.url === '/1' ? 30 : 0);
    });
    const requests = [1, 2, 3].map(
      n => `GET /${n} HTTP/1.1\r\nHost: ${host}\r\n${n === 3 ? 'Connection: close\r\n' : ''}\r\n`,
    );
    const answer = await sendRaw(web.outboundHttp, requests.join(''));
    expect(answer.match(/HTTP\/1\.1 200/g)).to.have.length(3);
    expect(answer.match(/\/[123](?=HTTP|$)/g)).to.deep.equal(['/1', '/2', '/3']);
  });

  it('serves an HTTP/1.0 client and closes', async () => {
    const { host, web } = await httpPair(mesh, (_request, response) => {
      response.write('a');
      response.end('b');
    });
    const answer = await sendRaw(web.outboundHttp, `GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 OK\r\n/)
      .and.match(/\r\n\r\nab$/);
  });

  it('that expects 100-continue sends its body only when the application asks for it', async () => {
    const { host, web } = await httpPair(mesh, (request, response) => request.pipe(response));
    const request = httpRequest({
      ...web.outboundHttp,
      method: 'POST',
      headers: { host, expect: '100-continue', 'content-length': '2' },
      agent: false,
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end('ok');
    const [answer] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    expect(String((await once(answer, 'data'))[0])).to.equal('ok');
  });

  it('that expects 100-continue may be answered without its body', async () => {
    const application = createServer();
    application.on(
      'checkContinue',
      (_request, response: { writeHead(n: number): { end(): void } }) =>
        response.writeHead(403).end(),
    );
    const { host, web } = await startPair(mesh, {
      protocol: 'http',
      application: await mesh.serve(application),
    });
    const head = `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`;
    const answer = await sendRaw(
      web.outboundHttp,
      `${head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
    );
    expect(answer).to.match(/^HTTP\/1\.1 403/);
  });

  it('whose upgrade the application declines gets the ordinary answer', async () => {
    const { host, web } = await httpPair(mesh, (_request, response) => response.end('no'));
    const answer = await sendRaw(
      web.outboundHttp,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 OK\r\n/)
      .and.match(/no$/);
  });

  it('that offers h2c goes on without it', async () => {
    const { host, web } = await httpPair(mesh, (request, response) =>
      response.end(String(request.headers.upgrade)),
    );
    const answer = await sendRaw(
      web.outboundHttp,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n`,
    );
    expect(answer)
      .to.match(/^HTTP\/1\.1 200 OK\r\n/)
      .and.match(/undefined$/);
  });

  it('is cancelled at the application when the client goes away', async () => {
    const seen: Socket[] = [];
    const { host, web } = await httpPair(mesh, request => void seen.push(request.socket));
    const request = httpRequest({ ...web.outboundHttp, headers: { host }, agent: false }).end();
    request.on('error', () => undefined);
    await eventually('the request arrives', () => seen.length === 1);
    request.destroy();
    await eventually('the application sees it go', () => seen[0]?.destroyed === true);
  });

  it('whose upload breaks off is not shown to the application as whole', async () => {
    let outcome = '';
    const { host, web } = await httpPair(mesh, request => {
      request.on('data', () => (outcome = 'begun'));
      request.on('error', () => (outcome = 'broken')).on('end', () => (outcome = 'whole'));
    });
    const socket = connect(web.outboundHttp);
    socket.write(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    );
    await eventually('the body begins to arrive', () => outcome === 'begun');
    socket.destroy();
    await eventually('an outcome at the application', () => outcome !== 'begun');
    expect(outcome).to.equal('broken');
  });

  it('whose answer breaks off is not shown to the client as whole', async () => {
    let application: Socket | undefined;
    let onHalf = (): void => void application?.destroy();
    const { host, web } = await bytePair(mesh, 'http', socket => {
      application = socket;
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () => onHalf()),
      );
    });
    const outcome = await call(web.outboundHttp, { host }).catch((error: unknown) => error);
    expect(outcome).to.be.instanceOf(Error);
    // HTTP/1.0 has no other sign of a whole answer than a clean end. Not until the client has its half:
    // where bytes and a reset arrive together, the libuv of this client tells of an end.
    onHalf = () => undefined;
    const client = connect(web.outboundHttp);
    let ended = false;
    client.on('data', (bytes: Buffer) => {
      if (bytes.toString().endsWith('half')) application?.destroy();
    });
    client.on('end', () => (ended = true));
    client.write(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
    expect((await received(client)).toString()).to.match(/half$/);
    expect(ended).to.equal(false);
  });
});
