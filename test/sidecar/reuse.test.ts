import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { listen } from '../../src/runtime/listen.ts';
import { APPLICATION_REUSE_MS } from '../../src/sidecar/limits.ts';
import {
  announce,
  eventually,
  type RunningSidecar,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { bytePair, httpPair, startPair } from './pair.ts';

describe('a stream of the tunnel', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('carries one call after another, on one connection of the application', async () => {
    const ports = new Set<number | undefined>();
    const { host, web } = await httpPair(mesh, (request, response) => {
      ports.add(request.socket.remotePort);
      response.end('ok');
    });
    for (let i = 0; i < 5; i++)
      expect((await call(web.outboundHttp, { host })).status).to.equal(200);
    expect(ports.size).to.equal(1);
  });

  it('outlives connections that the application closes', async () => {
    const { host, web } = await httpPair(mesh, (_request, response) => {
      response.setHeader('connection', 'close');
      response.end('ok');
    });
    for (let i = 0; i < 5; i++)
      expect((await call(web.outboundHttp, { host })).status).to.equal(200);
  });

  describe('whose application says more than it was asked for', () => {
    const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
    const MORE = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil';
    let sockets: Socket[];
    const start = (answer: string): ReturnType<typeof bytePair> => {
      sockets = [];
      return bytePair(mesh, 'http', socket => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        socket.on('data', () => socket.write(answer));
      });
    };

    it('shows none of it to the next caller, when it comes with the answer', async () => {
      const { host, web } = await start(OK + MORE);
      for (let i = 0; i < 3; i++)
        expect((await call(web.outboundHttp, { host })).body.toString()).to.equal('ok');
      expect(sockets).to.have.lengthOf(3);
    });

    it('shows none of it to the next caller, when it comes after the answer', async () => {
      const { host, web } = await start(OK);
      const ask = async () => (await call(web.outboundHttp, { host })).body.toString();
      expect([await ask(), await ask()]).to.deep.equal(['ok', 'ok']);
      expect(sockets, 'one connection as long as it is honest').to.have.lengthOf(1);
      const [first] = sockets as [Socket];
      const closed = new Promise(resolve => first.once('close', resolve));
      first.write(MORE);
      await closed;
      expect(await ask()).to.equal('ok');
      expect(sockets).to.have.lengthOf(2);
    });
  });

  it('does not mix up calls that are in flight together', async () => {
    const { host, web } = await httpPair(mesh, (request, response) => {
      setTimeout(() => response.end(request.url), Number(request.url?.slice(1)) % 7);
    });
    const paths = Array.from({ length: 150 }, (_, i) => `/${i}`);
    const replies = await Promise.all(paths.map(path => call(web.outboundHttp, { host, path })));
    expect(replies.map(reply => reply.body.toString())).to.deep.equal(paths);
  });

  describe('whose application has gone', () => {
    let applications: Server[];
    let reached: string[];
    let nowMs: number;
    let web: RunningSidecar;
    let host: string;
    beforeEach(async () => {
      applications = [];
      reached = [];
      nowMs = Date.now();
      const endpoints = await Promise.all(
        ['a', 'b'].map(async workload => {
          const server = createServer((request, response) => {
            let body = '';
            request.on('data', chunk => (body += String(chunk)));
            request.on('end', () => {
              reached.push(`${workload} ${body}`);
              response.end(workload);
            });
          });
          applications.push(server);
          const application = await listen(server, { host: '127.0.0.1', port: 0 });
          const services = [{ name: 'checkout', port: 80, protocol: 'http', application } as const];
          const { inbound } = await mesh.sidecar({
            cluster: 'west',
            workload,
            services,
            now: () => nowMs,
          });
          return testEndpoint(mesh, 'checkout', {
            cluster: 'west',
            workload,
            addresses: [inbound],
          });
        }),
      );
      web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
      host = announce(web.link, 'checkout', 'http', endpoints);
    });
    afterEach(() => {
      for (const server of applications) {
        server.close();
        server.closeAllConnections();
      }
    });

    it('gives the call back, and it goes elsewhere, once, with its body', async () => {
      for (let i = 0; i < 2; i++) await call(web.outboundHttp, { host });
      expect(reached).to.have.members(['a ', 'b ']);
      const [gone] = applications;
      gone?.close();
      gone?.closeAllConnections();
      nowMs += APPLICATION_REUSE_MS + 1;
      reached.length = 0;
      const bodies = ['one', 'two', 'x'.repeat(40_000)];
      for (const body of bodies) {
        const reply = await call(web.outboundHttp, { host, method: 'POST', body });
        expect(reply.body.toString()).to.equal('b');
      }
      expect(reached).to.deep.equal(bodies.map(body => `b ${body}`));
    });

    it('says so when there is nowhere else to go', async () => {
      for (let i = 0; i < 2; i++) await call(web.outboundHttp, { host });
      for (const server of applications) {
        server.close();
        server.closeAllConnections();
      }
      nowMs += APPLICATION_REUSE_MS + 1;
      const reply = await call(web.outboundHttp, { host });
      expect(reply.headers['x-isthmus-error']).to.equal('upstream-unreachable');
      const { attempts } = JSON.parse(reply.body.toString()) as { attempts: unknown[] };
      expect(attempts.length).to.be.greaterThan(0);
    });
  });

  it('is ended when its identity is no longer in force', async () => {
    let connections = 0;
    const application = createServer((_request, response) => response.end('ok'));
    application.on('connection', socket => {
      connections++;
      socket.on('close', () => connections--);
    });
    const { host, web } = await startPair(mesh, {
      protocol: 'http',
      application: await mesh.serve(application),
    });
    expect((await call(web.outboundHttp, { host })).status).to.equal(200);
    expect(connections).to.equal(1);
    web.link.identity.rotate(mesh.svid('east', 'web'));
    await eventually('the application has no connection left', () => connections === 0);
    expect((await call(web.outboundHttp, { host })).status).to.equal(200);
  });
});
