import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { expect } from 'chai';
import type { SpiffeId } from '../../src/mesh/spiffe-id.ts';
import { generateSvidKey, parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../src/trust-federation/peers/tls.ts';
import { issueLeaf } from '../../src/trust-federation/x509/certificate.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  eventually,
  received,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { type TestAuthority, testAuthority } from '../trust-federation/pki.ts';
import { httpPair, metricsOf, type Pair } from './pair.ts';

const SNI = formatSni(serviceSni('west', 'payments'));

describe('the inbound port', () => {
  let mesh: TestMesh;
  let pair: Pair;
  let reached = 0;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    reached = 0;
    pair = await httpPair(mesh, (_request, response) => {
      reached += 1;
      response.end('ok');
    });
  });
  afterEach(() => mesh.stop());

  async function expectRefused(reason: string): Promise<void> {
    const counted = new RegExp(`isthmus_inbound_refused_total\\{reason="${reason}",[^}]*\\} 1`);
    let figures = '';
    for (let i = 0; i < 100 && !counted.test(figures); i++)
      figures = await metricsOf(pair.payments);
    expect(figures).to.match(counted);
    expect(reached).to.equal(0);
    expect((await call(pair.web.outboundHttp, { host: pair.host })).status).to.equal(200);
  }

  /** A TLS client of the inbound port with any SVID, as someone hostile may write one. */
  function open(svid: Svid, options: ConnectionOptions = {}): TLSSocket {
    const tls = meshClientTls(svid, mesh.authority('west').bundle, anyIdentity, Date.now);
    return connectTls({
      ...tls,
      ...pair.payments.inbound,
      servername: SNI,
      ALPNProtocols: ['h2'],
      ...options,
    });
  }

  async function tunnel(authority: string, sni = SNI, method = 'CONNECT'): Promise<TunnelAnswer> {
    const socket = open(mesh.svid('east', 'web'), { servername: sni });
    const session = connectHttp2('https://x', { createConnection: () => socket });
    const path = method === 'CONNECT' ? {} : { ':path': '/', ':scheme': 'https' };
    const stream = session.request(
      { ':method': method, ':authority': authority, ...path },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    return {
      status: headers[':status'],
      error: headers['x-isthmus-error'],
      stream,
      close: () => session.destroy(),
    };
  }

  for (const [what, bytes] of [
    ['plaintext HTTP', 'GET / HTTP/1.1\r\nHost: payments\r\n\r\n'],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['noise', Buffer.alloc(64, 0xaa)],
  ] as const) {
    it(`closes on ${what}, counts it and serves the next peer`, async () => {
      const socket = connect(pair.payments.inbound);
      socket.write(bytes);
      await received(socket);
      await expectRefused('tls-handshake');
    });
  }

  it('closes on a client without a certificate', async () => {
    const socket = connectTls({
      ...pair.payments.inbound,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await received(socket);
    await expectRefused('chain-empty');
  });

  it('closes on a client that does not offer HTTP/2', async () => {
    const tls = meshClientTls(
      mesh.svid('east', 'web'),
      mesh.authority('west').bundle,
      anyIdentity,
      Date.now,
    );
    await received(connectTls({ ...tls, ...pair.payments.inbound, servername: SNI }));
    await expectRefused('not-http2');
  });

  it('closes on a client whose root nobody here knows', async () => {
    const stranger = testAuthority('east.example', Date.now());
    await received(open(svidOf(stranger, 'spiffe://east.example/ns/shop/sa/web')));
    await expectRefused('untrusted');
  });

  it('closes on an identity of east that the authority of west has signed', async () => {
    const forged = svidOf(mesh.authority('west'), 'spiffe://east.example/ns/shop/sa/web');
    await received(open(forged));
    await expectRefused('untrusted');
  });

  it('serves the same identity signed by its own authority', async () => {
    const honest = svidOf(mesh.authority('east'), 'spiffe://east.example/ns/shop/sa/web');
    const session = connectHttp2('https://x', { createConnection: () => open(honest) });
    await once(session, 'remoteSettings');
    session.destroy();
  });

  const HOST = 'payments.shop.svc.clusterset.local';
  for (const [title, authority, sni, method, status, error] of [
    ['200 to a CONNECT for its service', `${HOST}:80`, SNI, 'CONNECT', 200, undefined],
    [
      '200 when the server name is none of the mesh',
      `${HOST}:80`,
      'localhost',
      'CONNECT',
      200,
      undefined,
    ],
    [
      '200 to the name inside the cluster',
      'payments.shop.svc.cluster.local:80',
      SNI,
      'CONNECT',
      200,
      undefined,
    ],
    [
      '404 to another service',
      'ledger.shop.svc.clusterset.local:80',
      SNI,
      'CONNECT',
      404,
      'unknown-service',
    ],
    ['404 to another port', `${HOST}:81`, SNI, 'CONNECT', 404, 'unknown-service'],
    [
      '404 to no mesh name: this is no open proxy',
      '127.0.0.1:22',
      SNI,
      'CONNECT',
      404,
      'unknown-service',
    ],
    ['404 to an authority without a port', HOST, SNI, 'CONNECT', 404, 'unknown-service'],
    [
      '421 when the server name is another service',
      `${HOST}:80`,
      formatSni(serviceSni('west', 'ledger')),
      'CONNECT',
      421,
      'misdirected',
    ],
    [
      '421 when the server name is another port',
      `${HOST}:80`,
      formatSni(serviceSni('west', 'payments', 81)),
      'CONNECT',
      421,
      'misdirected',
    ],
    [
      '421 when the server name is another cluster',
      `${HOST}:80`,
      formatSni(serviceSni('east', 'payments')),
      'CONNECT',
      421,
      'misdirected',
    ],
    ['405 to a request that is no CONNECT', `${HOST}:80`, SNI, 'GET', 405, 'method-refused'],
  ] as const) {
    it(`answers ${title}`, async () => {
      const answer = await tunnel(authority, sni, method);
      expect([answer.status, answer.error]).to.deep.equal([status, error]);
      answer.close();
    });
  }

  it('serves one request of a stream after the other, each checked like the first', async () => {
    const { stream, close } = await tunnel(`${HOST}:80`);
    const request = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
    let answer = '';
    stream.on('data', chunk => (answer += String(chunk)));
    stream.end(`${request + request}GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`);
    await once(stream, 'end');
    expect(answer.match(/HTTP\/1\.1 \d+/g)).to.deep.equal([
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 400',
    ]);
    expect(reached).to.equal(2);
    close();
  });

  it('does not take the identity of a caller from its request', async () => {
    const { stream, close } = await tunnel(`${HOST}:80`);
    let answer = '';
    stream.on('data', chunk => (answer += String(chunk)));
    stream.write(`GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`);
    await once(stream, 'end');
    expect(answer).to.match(/^HTTP\/1\.1 400 /);
    expect(reached).to.equal(0);
    close();
  });
});

describe('the calling sidecar', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('sends nothing to a peer with another identity than the one announced', async () => {
    let reached = 0;
    const { host, web, payments } = await httpPair(mesh, (_request, response) => {
      reached += 1;
      response.end('ok');
    });
    const endpoint = testEndpoint(mesh, 'payments', {
      cluster: 'west',
      workload: 'payments',
      addresses: [payments.inbound],
    });
    announce(web.link, 'payments', 'http', [
      { ...endpoint, spiffeId: 'spiffe://west.example/ns/shop/sa/other' as SpiffeId },
    ]);
    const refused = await call(web.outboundHttp, { host });
    expect(refused.headers['x-isthmus-error']).to.equal('upstream-unreachable');
    expect(refused.body.toString()).to.include('expected');
    expect(reached).to.equal(0);
    announce(web.link, 'payments', 'http', [endpoint]);
    expect((await call(web.outboundHttp, { host })).status).to.equal(200);
  });

  it('sends nothing to the announced identity when another authority has signed it', async () => {
    const forged = svidOf(mesh.authority('east'), 'spiffe://west.example/ns/shop/sa/payments');
    const impostor = await mesh.sidecar({ cluster: 'west', workload: 'payments', svid: forged });
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    const host = announce(web.link, 'payments', 'http', [
      testEndpoint(mesh, 'payments', {
        cluster: 'west',
        workload: 'payments',
        addresses: [impostor.inbound],
      }),
    ]);
    const refused = await call(web.outboundHttp, { host });
    expect(refused.headers['x-isthmus-error']).to.equal('upstream-unreachable');
  });

  it('loses no request while identities and bundles of both sides rotate', async () => {
    const { host, web, payments } = await httpPair(mesh, (_request, response) =>
      response.end('ok'),
    );
    let stop = false;
    const statuses: number[] = [];
    const load = [1, 2, 3, 4].map(async () => {
      while (!stop) statuses.push((await call(web.outboundHttp, { host })).status);
    });
    const next = async (): Promise<void> => {
      const seen = statuses.length;
      await eventually('traffic flows', () => statuses.length >= seen + 20);
    };
    for (let round = 0; round < 4; round++) {
      web.link.identity.rotate(mesh.svid('east', 'web'));
      await next();
      payments.link.identity.rotate(mesh.svid('west', 'payments'));
      await next();
      for (const { link } of [web, payments]) {
        for (const { trustDomain, bundle } of Object.values(mesh.authorities)) {
          link.bundles.put(trustDomain, { ...bundle, sequence: round + 2 });
        }
      }
      await next();
    }
    stop = true;
    await Promise.all(load);
    expect(new Set(statuses)).to.deep.equal(new Set([200]));
  });

  it('uses its new identity for the next call after a rotation', async () => {
    const { host, web } = await httpPair(mesh, (request, response) =>
      response.end(request.headers['x-forwarded-client-cert']),
    );
    expect((await call(web.outboundHttp, { host })).body.toString()).to.match(/sa\/web$/);
    web.link.identity.rotate(mesh.svid('east', 'web-two'));
    expect((await call(web.outboundHttp, { host })).body.toString()).to.match(/sa\/web-two$/);
  });
});

interface TunnelAnswer {
  readonly status: unknown;
  readonly error: unknown;
  readonly stream: ClientHttp2Stream;
  readonly close: () => void;
}

/** Any identity, signed by any authority: the issuer's template would not object. */
function svidOf(authority: TestAuthority, id: string): Svid {
  const key = generateSvidKey();
  const subject = { id: id as SpiffeId, publicKey: createPublicKey(key), ttlMs: 3_600_000 };
  const leaf = issueLeaf(subject, authority.root, Date.now());
  return parseSvid([leaf], key);
}
