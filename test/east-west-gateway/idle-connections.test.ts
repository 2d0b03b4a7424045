import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { CONNECTIONS_MAX, CONNECTIONS_PER_SOURCE_MAX } from '../../src/east-west-gateway/limits.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { listen } from '../../src/runtime/listen.ts';
import { realHello } from '../wire/client-hello-bytes.ts';
import { SNI } from './gateway-fixture.ts';

const GATEWAY = fileURLToPath(new URL('./idle-gateway.js', import.meta.url));
/** The gateway and this process each need two descriptors a connection, beside their own few. */
const DESCRIPTORS =
  Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })) || Infinity;
const OWN_DESCRIPTORS = 150;
const CONNECTIONS = Math.min(CONNECTIONS_MAX, Math.floor((DESCRIPTORS - OWN_DESCRIPTORS) / 2));
/** Connecting at once, below the accept backlog. */
const AT_ONCE = 200;

describe('the gateway, on its own limits,', () => {
  let gateway: ChildProcess;
  let endpoint: Server;
  const sockets: Socket[] = [];

  afterEach(() => {
    gateway.kill();
    endpoint.close();
    for (const socket of sockets) socket.destroy();
  });

  it(`holds ${CONNECTIONS.toLocaleString('en')} idle connections and serves every one of them`, async function () {
    this.timeout(60_000);
    expect(CONNECTIONS_MAX).to.equal(10_000);
    // Answers one byte to everything it gets.
    endpoint = createServer(socket => {
      sockets.push(socket);
      socket.on('error', () => undefined).on('data', () => socket.write('.'));
    });
    gateway = fork(GATEWAY);
    const entrance = await ask<SocketAddress>(
      await listen(endpoint, { host: '127.0.0.1', port: 0 }),
    );
    const hello = await realHello({ servername: SNI });
    const callers: Socket[] = [];
    while (callers.length < CONNECTIONS) {
      const size = Math.min(AT_ONCE, CONNECTIONS - callers.length);
      const batch = Array.from({ length: size }, async (_, i) => {
        const socket = connect({ ...entrance, localAddress: sourceOf(callers.length + i) });
        sockets.push(socket);
        socket.on('error', () => undefined).write(hello);
        await Promise.race([once(socket, 'data'), once(socket, 'close')]);
        return socket;
      });
      callers.push(...(await Promise.all(batch)));
    }
    expect(await ask<number>('count')).to.equal(CONNECTIONS);
    await Promise.all(
      callers.map(socket => {
        const answered = once(socket, 'data');
        socket.write('?');
        return answered;
      }),
    );
  });

  async function ask<T>(message: SocketAddress | 'count'): Promise<T> {
    const answer = once(gateway, 'message');
    gateway.send(message);
    return ((await answer) as [T])[0];
  }
});

/** One address has a share of its own, so the callers come from several. */
function sourceOf(caller: number): string {
  return `127.0.0.${2 + Math.floor(caller / CONNECTIONS_PER_SOURCE_MAX)}`;
}
