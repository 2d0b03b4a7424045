import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectHttp2, createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { listen } from '../../src/runtime/listen.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { meshClientTls, meshServerTls } from '../../src/trust-federation/peers/tls.ts';
import { formatSni } from '../../src/wire/sni.ts';
import { announce, received, serviceSni, TestMesh, testEndpoint } from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { bytePair } from './pair.ts';

describe('a stock HTTP/2 implementation (nghttp2 in node:http2)', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('can open a tunnel to the inbound port', async () => {
    const { payments } = await bytePair(mesh, 'tcp', socket => socket.pipe(socket));
    const tls = meshClientTls(
      mesh.svid('east', 'web'),
      mesh.authority('west').bundle,
      anyIdentity,
      Date.now,
    );
    const session = connectHttp2('https://x', {
      createConnection: () =>
        connectTls({
          ...tls,
          ...payments.inbound,
          servername: formatSni(serviceSni('west', 'payments')),
          ALPNProtocols: ['h2'],
        }),
    });
    const stream = session.request(
      { ':method': 'CONNECT', ':authority': 'payments.shop.svc.clusterset.local:80' },
      { endStream: false },
    );
    await once(stream, 'response');
    const body = Buffer.alloc(3 * 1024 * 1024, 'tunnel');
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.end(body);
    await once(stream, 'end');
    expect(Buffer.concat(chunks).equals(body)).to.equal(true);
    session.close();
  });

  it('can be the far end of an outbound call, and of TCP', async () => {
    const application = await mesh.serve(
      createServer((request, response) => {
        response.setHeader('x-seen', request.url ?? '');
        request.pipe(response);
      }),
    );
    const svid = mesh.svid('west', 'payments');
    const bundles = Object.values(mesh.authorities).map(({ bundle }) => bundle);
    const server = createSecureServer({ ...meshServerTls(svid, bundles), ALPNProtocols: ['h2'] });
    const streams: string[] = [];
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      streams.push(`${headers[':method'] ?? ''} ${headers[':authority'] ?? ''}`);
      const socket = connectTcp(application, () => {
        stream.respond({ ':status': 200 });
        stream.pipe(socket).pipe(stream);
      });
      socket.on('error', () => stream.close());
      stream.on('error', () => socket.destroy());
    });
    const address = await listen(server, { host: '127.0.0.1', port: 0 });
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web', tcp: ['payments'] });
    const host = announce(web.link, 'payments', 'http', [
      testEndpoint(mesh, 'payments', {
        cluster: 'west',
        workload: 'payments',
        addresses: [address],
      }),
    ]);
    const body = Buffer.alloc(1024 * 1024, 'body');
    for (const path of ['/1', '/2']) {
      const reply = await call(web.outboundHttp, { host, method: 'POST', path, body });
      expect(reply.headers['x-seen']).to.equal(path);
      expect(reply.body.equals(body)).to.equal(true);
    }
    expect(streams).to.deep.equal([`CONNECT ${host}:80`]);

    const socket = connectTcp({ ...web.outboundTcp[0]!, allowHalfOpen: true });
    socket.end(`GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect((await received(socket)).toString()).to.match(/^HTTP\/1\.1 200 [^]*x-seen: \/3\r\n/);
    server.close();
    await web.stop();
  });
});
