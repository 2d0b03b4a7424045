import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { announce, TestMesh, testEndpoint } from '../support/data-plane.ts';
import { call, keepAliveAgent, sendRaw } from '../support/http-client.ts';
import { bytePair, httpPair, metricsOf, type Pair } from './pair.ts';

describe('the answer of the outbound sidecar itself', () => {
  let mesh: TestMesh;
  let pair: Pair;
  let reached: string[];
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    reached = [];
    pair = await httpPair(mesh, (request, response) => {
      reached.push(request.url ?? '');
      response.end('ok');
    });
  });
  afterEach(() => mesh.stop());

  it('is 404 no-route for a name that no service has, and the next call is served', async () => {
    const { host, web } = pair;
    const agent = keepAliveAgent();
    for (const unknown of ['nothing.shop.svc.clusterset.local', `${host}:81`, 'example.com']) {
      const reply = await call(web.outboundHttp, { host: unknown });
      expect(reply.status).to.equal(404);
      expect(reply.headers['x-isthmus-error']).to.equal('no-route');
      const body = JSON.parse(reply.body.toString()) as { code: string; error: string };
      expect(body.code).to.equal('no-route');
      expect(body.error).to.include(unknown);
    }
    expect((await call(web.outboundHttp, { host, agent })).status).to.equal(200);
    agent.destroy();
  });

  it('is 503 no-endpoint for a service without endpoints', async () => {
    const host = announce(pair.web.link, 'empty', 'http', []);
    const reply = await call(pair.web.outboundHttp, { host });
    expect(reply.status).to.equal(503);
    expect(reply.headers['x-isthmus-error']).to.equal('no-endpoint');
  });

  it('is 503 upstream-unreachable, with every attempt, when no endpoint can be reached', async () => {
    const closed = { host: '127.0.0.1', port: 1 };
    const host = announce(pair.web.link, 'gone', 'http', [
      testEndpoint(mesh, 'gone', { cluster: 'west', workload: 'a', addresses: [closed] }),
      testEndpoint(mesh, 'gone', { cluster: 'west', workload: 'b', addresses: [closed] }),
    ]);
    const reply = await call(pair.web.outboundHttp, { host });
    expect(reply.status).to.equal(503);
    expect(reply.headers['x-isthmus-error']).to.equal('upstream-unreachable');
    const { attempts } = JSON.parse(reply.body.toString()) as { attempts: { workload: string }[] };
    expect(attempts.map(attempt => attempt.workload)).to.deep.equal(['a', 'b']);
  });

  it('is 502 when the application closes without an answer, and the call is not sent again', async () => {
    let connections = 0;
    const broken = await bytePair(mesh, 'http', socket => {
      connections += 1;
      socket.once('data', () => socket.destroy());
    });
    const reply = await call(broken.web.outboundHttp, { host: broken.host });
    expect(reply.status).to.equal(502);
    expect(reply.headers['x-isthmus-error']).to.equal('upstream-failed');
    expect(connections).to.equal(1);
  });

  it('is 502 when the application does not speak HTTP', async () => {
    const broken = await bytePair(mesh, 'http', socket => void socket.end('SSH-2.0-x\r\n'));
    const reply = await call(broken.web.outboundHttp, { host: broken.host });
    expect(reply.status).to.equal(502);
  });

  it('is 405 for CONNECT: this is no open proxy', async () => {
    const answer = await sendRaw(
      pair.web.outboundHttp,
      `CONNECT ${pair.host}:80 HTTP/1.1\r\nHost: ${pair.host}\r\n\r\n`,
    );
    expect(answer)
      .to.match(/^HTTP\/1\.1 405 /)
      .and.match(/x-isthmus-error: method-refused/);
  });

  it('is 431 for more than 100 header fields, and 100 pass', async () => {
    const { host, web } = pair;
    const request = (count: number): string =>
      `GET /${count} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${'A: b\r\n'.repeat(count - 2)}\r\n`;
    expect(await sendRaw(web.outboundHttp, request(101))).to.match(/^HTTP\/1\.1 431 /);
    expect(await sendRaw(web.outboundHttp, request(3_000))).to.match(/^HTTP\/1\.1 431 /);
    expect(await sendRaw(web.outboundHttp, request(99))).to.match(/^HTTP\/1\.1 200 /);
    expect(reached).to.deep.equal(['/99']);
  });

  it('is 431 for a head over 16 KiB', async () => {
    const { host, web } = pair;
    const request = (bytes: number): string =>
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nA: ${'x'.repeat(bytes)}\r\n\r\n`;
    expect(await sendRaw(web.outboundHttp, request(17_000))).to.match(/^HTTP\/1\.1 431 /);
    expect(await sendRaw(web.outboundHttp, request(15_000))).to.match(/^HTTP\/1\.1 200 /);
  });

  it('is 400 and a closed connection for what two readers could read differently', async () => {
    const { host, web } = pair;
    const bad = [
      `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
      'GET / HTTP/1.1\r\n\r\n',
      `GET / HTTP/1.1\r\nHost: a@${host}\r\n\r\n`,
      `GET /#x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.0\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`,
      `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 01\r\n\r\na`,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nA : b\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: ${host}\r\nA: b\r\n c\r\n\r\n`,
      `GET / HTTP/1.1\nHost: ${host}\n\n`,
      `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na`,
      'HELLO\r\n\r\n',
    ];
    const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    for (const request of bad) {
      const answer = await sendRaw(web.outboundHttp, request + smuggled);
      expect(answer, request)
        .to.match(/^HTTP\/1\.1 400 /)
        .and.match(/x-isthmus-error: bad-request/);
      expect(answer.match(/^HTTP\/1\.1 \d/gm), request).to.have.length(1);
    }
    expect(reached).to.deep.equal([]);
    expect((await call(web.outboundHttp, { host })).status).to.equal(200);
  });

  it('is 501, 505 or 414 for a method, a version or a target that is not served', async () => {
    const { host, web } = pair;
    for (const [line, status] of [
      ['get / HTTP/1.1', 501],
      ['GET / HTTP/2.0', 505],
      [`GET /${'x'.repeat(9_000)} HTTP/1.1`, 414],
      ['GET / HTTP/1.1', 200],
    ] as const) {
      const answer = await sendRaw(
        web.outboundHttp,
        `${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).to.match(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
    expect(reached).to.deep.equal(['/']);
  });

  it('is counted under its code', async () => {
    await call(pair.web.outboundHttp, { host: 'example.com' });
    await call(pair.web.outboundHttp, { host: pair.host });
    const figures = await metricsOf(pair.web);
    expect(figures).to.match(/isthmus_outbound_refused_total\{reason="no-route",[^}]*\} 1/);
    expect(figures).to.match(
      /istio_requests_total\{reporter="source",source_workload="web",[^}]*destination_workload="payments",destination_cluster="west",response_code="200",[^}]*\} 1/,
    );
    expect(await metricsOf(pair.payments)).to.match(
      /istio_requests_total\{reporter="destination",[^}]*source_principal="spiffe:\/\/east\.example\/ns\/shop\/sa\/web",[^}]*response_code="200",[^}]*\} 1/,
    );
  });

  it('does not end the process: garbage on the port leaves the next call alone', async () => {
    const socket = connect(pair.web.outboundHttp);
    socket.on('error', () => undefined).resume();
    socket.write(Buffer.alloc(70_000, 0xff));
    await once(socket, 'close');
    expect((await call(pair.web.outboundHttp, { host: pair.host })).status).to.equal(200);
  });
});
