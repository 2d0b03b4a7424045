/** Who is served by the inbound sidecar, and what becomes of those who are not. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import type { Protocol } from '../../src/mesh/service.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  exportTo,
  inboundOf,
  type RunningSidecar,
  received,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { call, keepAliveAgent, type Reply } from '../support/http-client.ts';
import { eventually } from '../support/mesh.ts';
import { openStockTunnel, type TunnelAnswer } from '../support/stock-tunnel.ts';
import { metricsOf, outOfService, type Pair, type Path, startBackend, startPair } from './pair.ts';

const HOST = 'payments.shop.svc.clusterset.local';
const REQUEST = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

for (const path of ['direct', 'gateway'] as const satisfies readonly Path[]) {
  describe(`a service of west, called ${path}`, () => {
    let mesh: TestMesh;
    let pair: Pair;
    /** Connections and requests, or the bytes of a TCP service, that the application saw. */
    let connections: number;
    let requests: number;
    const tunnels: TunnelAnswer[] = [];
    beforeEach(() => {
      mesh = new TestMesh('east', 'west', 'eu');
      connections = 0;
      requests = 0;
    });
    afterEach(async () => {
      for (const opened of tunnels.splice(0)) opened.close();
      await mesh.stop();
    });

    async function start(protocol: Protocol): Promise<void> {
      const server = createServer((_request, response) => {
        requests++;
        response.end('served');
      });
      server.on('connection', () => connections++);
      pair = await startPair(mesh, { protocol, application: await mesh.serve(server), path });
    }

    /** As the agent of west would say. */
    function exportsTo(...clusters: readonly string[]): void {
      const callers = ['west', ...clusters].map(cluster => mesh.authority(cluster));
      exportTo(pair.payments.link, 'payments', callers);
    }

    /** A sidecar of another cluster that was told of the service, by mistake or not. */
    async function callerIn(cluster: string): Promise<RunningSidecar> {
      const caller = await mesh.sidecar({ cluster, workload: 'cart', tcp: ['payments'] });
      const endpoints = pair.web.link.upstreams.entries().values().next().value?.endpoints ?? [];
      announce(caller.link, 'payments', 'http', endpoints);
      return caller;
    }

    function expectForbidden({ status, headers, body }: Reply): void {
      expect(status, body.toString()).to.equal(403);
      expect(headers['x-isthmus-error']).to.equal('forbidden');
    }

    describe('over HTTP', () => {
      beforeEach(() => start('http'));

      it('serves a cluster that it is exported to, and answers another 403 before the application sees anything', async () => {
        exportsTo('east');
        expectForbidden(await call((await callerIn('eu')).outboundHttp, { host: HOST }));
        expect([connections, requests]).to.deep.equal([0, 0]);
        expect((await call(pair.web.outboundHttp, { host: HOST })).status).to.equal(200);
        expect(requests).to.equal(1);
      });

      it('serves its own cluster, exported or not', async () => {
        exportsTo();
        expectForbidden(await call(pair.web.outboundHttp, { host: HOST }));
        const neighbour = await callerIn('west');
        expect((await call(neighbour.outboundHttp, { host: HOST })).status).to.equal(200);
        pair.payments.link.callers.delete(inboundOf('payments'));
        expect((await call(neighbour.outboundHttp, { host: HOST })).status).to.equal(200);
      });

      it('serves no other cluster before the agent has said whom', async () => {
        pair.payments.link.callers.delete(inboundOf('payments'));
        expectForbidden(await call(pair.web.outboundHttp, { host: HOST }));
        exportsTo('east');
        expect((await call(pair.web.outboundHttp, { host: HOST })).status).to.equal(200);
      });

      it('follows an export that is narrowed and widened, from one request of a connection to the next', async () => {
        const agent = keepAliveAgent();
        const status = async () =>
          (await call(pair.web.outboundHttp, { host: HOST, agent })).status;
        expect(await status()).to.equal(200);
        exportsTo('eu');
        expect(await status()).to.equal(403);
        exportsTo('eu', 'east');
        expect(await status()).to.equal(200);
        agent.destroy();
        expect(requests).to.equal(2);
        // All of it over one session.
        expect(await metricsOf(pair.payments)).to.match(
          /isthmus_inbound_connections_total\{[^}]*\} 1\n/,
        );
      });

      it('counts at both ends, and keeps the endpoint of a caller that it refuses in service', async () => {
        exportsTo();
        for (let i = 0; i < 10; i++) {
          expectForbidden(await call(pair.web.outboundHttp, { host: HOST }));
        }
        expect(await outOfService(pair.web)).to.deep.equal([]);
        expect(await metricsOf(pair.web)).to.match(
          /isthmus_outbound_refused_total\{reason="forbidden",[^}]*\} 10\n/,
        );
        expect(await metricsOf(pair.payments)).to.match(
          /isthmus_inbound_refused_total\{reason="not-exported",[^}]*\} 10\n/,
        );
      });

      it('is refused to a stock client with a valid SVID and the right server name, and served when exported', async () => {
        exportsTo('eu');
        const refused = await tunnel();
        expect([refused.status, refused.error]).to.deep.equal([403, 'forbidden']);
        expect(connections).to.equal(0);
        exportsTo('east');
        const { status, stream } = await tunnel();
        expect(status).to.equal(200);
        stream.write(REQUEST);
        expect(String((await once(stream, 'data'))[0])).to.match(/^HTTP\/1\.1 200 /);
        exportsTo('eu');
        stream.write(REQUEST);
        expect(String((await once(stream, 'data'))[0])).to.match(
          /^HTTP\/1\.1 403 [^]*\r\nx-isthmus-error: forbidden\r\n/,
        );
        expect(requests).to.equal(1);
      });
    });

    describe('over TCP', () => {
      beforeEach(() => start('tcp'));

      it('is refused stream by stream: what is open goes on, the next is reset and counted', async () => {
        exportsTo('east');
        const open = connect(pair.web.outboundTcp[0]!);
        open.write(REQUEST);
        await once(open, 'data');
        exportsTo('eu');
        expect(await answered(pair.web)).to.equal('');
        open.write(REQUEST);
        await once(open, 'data');
        open.destroy();
        expect([connections, requests]).to.deep.equal([1, 2]);
        expect(await outOfService(pair.web)).to.deep.equal([]);
        expect(await metricsOf(pair.web)).to.match(
          /isthmus_outbound_refused_total\{reason="forbidden",[^}]*\} 1\n/,
        );
        exportsTo('east');
        expect(await answered(pair.web)).to.match(/^HTTP\/1\.1 200 /);
      });

      it('serves its own cluster, and a stock client of another one only when exported to it', async () => {
        exportsTo();
        expect(await answered(await callerIn('west'))).to.match(/^HTTP\/1\.1 200 /);
        expect((await tunnel()).status).to.equal(403);
        exportsTo('east');
        expect((await tunnel()).status).to.equal(200);
      });
    });

    /** Of one connection to its TCP port. */
    async function answered(caller: RunningSidecar): Promise<string> {
      const socket: Socket = connect(caller.outboundTcp[0]!);
      socket.write(REQUEST.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
      return (await received(socket)).toString();
    }

    /** A CONNECT of somebody hostile in east, whose identity is genuine. */
    async function tunnel(): Promise<TunnelAnswer> {
      const opened = await openStockTunnel({
        via: pair.gateway?.address ?? pair.payments.inbound,
        svid: mesh.svid('east', 'web'),
        roots: mesh.authority('west').bundle,
        serverName: formatSni(serviceSni('west', 'payments')),
        authority: `${HOST}:80`,
      });
      tunnels.push(opened);
      return opened;
    }
  });
}

describe('a caller that may not call', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('is not taken to another endpoint, which would have served it', async () => {
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    const [shut, open] = [await startBackend(mesh, 'shut'), await startBackend(mesh, 'open')];
    const host = announce(web.link, 'checkout', 'http', [
      { ...shut.endpoint, priority: 0 },
      { ...open.endpoint, priority: 1 },
    ]);
    exportTo(shut.sidecar.link, 'checkout', []);
    expect((await call(web.outboundHttp, { host })).status).to.equal(403);
    expect([shut.requests, open.requests]).to.deep.equal([[], []]);
    exportTo(shut.sidecar.link, 'checkout', [mesh.authority('east')]);
    expect((await call(web.outboundHttp, { host })).body.toString()).to.equal('shut');
  });

  it('is not told that nothing was done when another endpoint had the request before', async () => {
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    const hung = await startBackend(mesh, 'hung', () => undefined);
    const shut = await startBackend(mesh, 'shut');
    const endpoints = [hung.endpoint, { ...shut.endpoint, priority: 1 }];
    const host = announce(web.link, 'checkout', 'http', endpoints, { tryTimeoutMs: 100 });
    exportTo(shut.sidecar.link, 'checkout', []);
    const { status, headers } = await call(web.outboundHttp, { host });
    expect([status, headers['x-isthmus-error']]).to.deep.equal([502, 'upstream-failed']);
    expect([hung.requests.length, shut.requests.length]).to.deep.equal([1, 0]);
  });

  it('finds an endpoint back in service whose sidecar only says no', async () => {
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    const server = createServer((_request, response) => response.end('served'));
    const application = await mesh.serve(server);
    const services = [{ name: 'payments', port: 80, protocol: 'http', application }] as const;
    const payments = await mesh.sidecar({ cluster: 'west', workload: 'payments', services });
    const addresses = [payments.inbound];
    const spec = { cluster: 'west', workload: 'payments', addresses };
    const host = announce(web.link, 'payments', 'http', [testEndpoint(mesh, 'payments', spec)]);
    server.close();
    expect((await call(web.outboundHttp, { host })).status).to.equal(503);
    expect(await outOfService(web)).to.deep.equal(['payments']);
    exportTo(payments.link, 'payments', []);
    await eventually(async () => expect(await outOfService(web)).to.deep.equal([]));
    expect((await call(web.outboundHttp, { host })).status).to.equal(403);
  });
});
