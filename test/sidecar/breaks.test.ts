import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { announce, eventually, received, TestMesh, testEndpoint } from '../support/data-plane.ts';
import { call } from '../support/http-client.ts';
import { bytePair } from './pair.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone';

describe('a call that breaks off', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  // What the application has sent when it resets its connection, and what the client gets to see.
  for (const [phase, sent, outcome] of [
    ['before its answer', '', 502],
    ['inside the status line', 'HTTP/1.1 2', 502],
    ['inside the head', 'HTTP/1.1 200 OK\r\nContent-', 502],
    ['between an interim answer and the final one', 'HTTP/1.1 103 Early\r\n\r\n', 502],
    ['inside a body with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndo', 'broken'],
    [
      'inside a chunked body',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndo',
      'broken',
    ],
    ['inside a body without a length', 'HTTP/1.1 200 OK\r\n\r\ndo', 'broken'],
    ['after its answer', ANSWER, 200],
  ] as const) {
    it(`at the application ${phase} is never shown as whole, and the next is served`, async () => {
      let breaks = true;
      const { host, web } = await bytePair(mesh, 'http', socket => {
        socket.on('data', () => {
          if (!breaks) socket.write(ANSWER);
          else socket.write(sent, () => setTimeout(() => socket.resetAndDestroy(), 20));
        });
      });
      const seen = await call(web.outboundHttp, { host }).then(
        reply => reply.status,
        () => 'broken',
      );
      expect(seen).to.equal(outcome);
      breaks = false;
      expect((await call(web.outboundHttp, { host })).body.toString()).to.equal('done');
    });
  }

  // What the client has sent when it resets its connection.
  for (const [phase, request, reaches] of [
    ['inside its head', 'GET / HTTP/1.1\r\nHo', false],
    ['inside its body', 'POST / HTTP/1.1\r\nHost: %HOST\r\nContent-Length: 9\r\n\r\nhalf', true],
    ['while it waits', 'GET / HTTP/1.1\r\nHost: %HOST\r\n\r\n', true],
  ] as const) {
    it(`at the client ${phase} breaks off at the application, and the next is served`, async () => {
      const open = new Set<Socket>();
      let ended = false;
      let isServing = false;
      const { host, web } = await bytePair(mesh, 'http', socket => {
        open.add(socket);
        socket.on('data', () => isServing && socket.write(ANSWER));
        socket.on('end', () => (ended = true));
        socket.on('close', () => open.delete(socket));
      });
      const client = connect(web.outboundHttp);
      client.on('error', () => undefined).write(request.replace('%HOST', host));
      if (reaches) await eventually('the application is reached', () => open.size === 1);
      client.resetAndDestroy();
      await eventually('the application sees it go', () => open.size === 0);
      expect(ended).to.equal(false);
      isServing = true;
      expect((await call(web.outboundHttp, { host })).body.toString()).to.equal('done');
    });
  }

  it('with the sidecar of its application is a 502, and the next goes elsewhere', async () => {
    const applications: Socket[] = [];
    const application = await mesh.application(socket => void applications.push(socket));
    const services = [{ name: 'checkout', port: 80, protocol: 'http', application }] as const;
    const a = await mesh.sidecar({ cluster: 'west', workload: 'a', services, drain: '1ms' });
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
    const endpoint = (workload: string, inbound: typeof a.inbound) =>
      testEndpoint(mesh, 'checkout', { cluster: 'west', workload, addresses: [inbound] });
    const host = announce(web.link, 'checkout', 'http', [endpoint('a', a.inbound)]);
    const cut = call(web.outboundHttp, { host });
    await eventually('the call arrives', () => applications.length === 1);
    await a.stop();
    expect((await cut).status).to.equal(502);
    const live = await mesh.serve(createServer((_q, response) => response.end('b')));
    const b = await mesh.sidecar({
      cluster: 'west',
      workload: 'b',
      services: [{ name: 'checkout', port: 80, protocol: 'http', application: live }],
    });
    announce(web.link, 'checkout', 'http', [endpoint('a', a.inbound), endpoint('b', b.inbound)]);
    for (let i = 0; i < 3; i++) {
      expect((await call(web.outboundHttp, { host })).body.toString()).to.equal('b');
    }
  });
});

describe('a request that arrives in pieces', () => {
  it('is the same request, wherever it is cut', async () => {
    const mesh = new TestMesh('east', 'west');
    const seen: string[] = [];
    const { host, web } = await bytePair(mesh, 'http', socket => {
      let text = '';
      socket.on('data', chunk => {
        text += String(chunk);
        if (!text.endsWith('0\r\n\r\n')) return;
        seen.push(text);
        text = '';
        socket.write(ANSWER);
      });
    });
    const request = `POST /a HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
    const whole = request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    for (let cut = 1; cut < whole.length; cut += 3) {
      const socket = connect({ ...web.outboundHttp, noDelay: true });
      socket.write(whole.slice(0, cut));
      await once(socket, 'connect');
      await new Promise(resolve => setImmediate(resolve));
      socket.write(whole.slice(cut));
      expect((await received(socket)).toString()).to.match(/done$/);
    }
    expect(new Set(seen.map(text => text.replace(/\r\n\r\n[^]*/, '')))).to.have.property('size', 1);
    await mesh.stop();
  });
});
