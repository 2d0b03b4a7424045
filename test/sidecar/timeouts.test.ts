/** Clients that are slow on purpose, by a clock that the test moves. */

import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { HEADERS_TIMEOUT_MS, KEEP_ALIVE_TIMEOUT_MS } from '../../src/sidecar/limits.ts';
import {
  announce,
  eventually,
  type RunningSidecar,
  received,
  TestMesh,
} from '../support/data-plane.ts';
import { startBackend } from './pair.ts';

describe('a client of the outbound port', () => {
  let mesh: TestMesh;
  let web: RunningSidecar;
  let host: string;
  let client: Socket;
  let nowMs: number;
  beforeEach(async () => {
    nowMs = Date.now();
    mesh = new TestMesh('east', 'west');
    web = await mesh.sidecar({ cluster: 'east', workload: 'web', now: () => nowMs });
    const { endpoint } = await startBackend(mesh, 'a', (_request, response) => response.end('a'));
    host = announce(web.link, 'checkout', 'http', [endpoint]);
    client = connect(web.outboundHttp);
  });
  afterEach(() => {
    client.destroy();
    return mesh.stop();
  });

  /** A request is sent and answered; what goes with it has been read by then. */
  async function ask(andThen = ''): Promise<void> {
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n${andThen}`);
    let answer = '';
    client.on('data', (bytes: Buffer) => (answer += bytes.toString('latin1')));
    await eventually('the answer comes', () => answer.endsWith('\r\n\r\na'));
    client.removeAllListeners('data');
  }

  it('that does not end its head in time is answered 408, and its connection closed', async () => {
    await ask('GET / HTTP/1.1\r\nHo');
    nowMs += HEADERS_TIMEOUT_MS + 1;
    expect((await received(client)).toString()).to.match(/^HTTP\/1.1 408 Request Timeout\r\n/);
  });

  it('that asks for nothing more is closed, without an answer', async () => {
    await ask();
    nowMs += KEEP_ALIVE_TIMEOUT_MS + 1;
    expect((await received(client)).toString()).to.equal('');
  });

  it('that asks again in time is answered', async () => {
    await ask();
    nowMs += KEEP_ALIVE_TIMEOUT_MS - 1;
    client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect((await received(client)).toString()).to.match(/^HTTP\/1.1 200 OK\r\n/);
  });
});
