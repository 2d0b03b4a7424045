import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { listen } from '../../src/runtime/listen.ts';
import { CLIENT_HELLO_BYTES_MAX } from '../../src/wire/client-hello.ts';
import { eventually, received } from '../support/data-plane.ts';
import {
  extension,
  handshake,
  realHello,
  records,
  serverName,
  vector16,
} from '../wire/client-hello-bytes.ts';
import {
  callRaw,
  connected,
  isServed,
  SNI,
  startGateway,
  type TestGateway,
} from './gateway-fixture.ts';

const MANY = 300;

describe('at the gateway, whom nobody has verified,', () => {
  let endpoint: Server;
  let target: SocketAddress;
  let arrived: number;
  let gateway: TestGateway;
  let sockets: Socket[];

  beforeEach(async () => {
    arrived = 0;
    sockets = [];
    endpoint = createServer({ allowHalfOpen: true }, socket => {
      arrived++;
      socket.on('error', () => undefined).pipe(socket);
    });
    target = await listen(endpoint, { host: '127.0.0.1', port: 0 });
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await gateway.stop();
    endpoint.close();
  });

  function many(localAddress?: string): Promise<Socket[]> {
    const opened = Array.from({ length: MANY }, () => callRaw(gateway.address, localAddress));
    sockets.push(...opened);
    return Promise.all(opened.map(connected));
  }

  it('many who send half a hello keep nobody from being served, and are closed in time', async () => {
    gateway = await startGateway(target, { helloTimeoutMs: 1_000 });
    const half = (await realHello({ servername: SNI })).subarray(0, 100);
    const slow = await many();
    const ends = slow.map(received);
    for (const socket of slow) socket.write(half);
    await eventually('all have come', () => gateway.open() === MANY);
    expect(await isServed(gateway.address)).to.equal(true);
    expect((await Promise.all(ends)).every(bytes => bytes.length === 0)).to.equal(true);
    expect(await gateway.refusals('hello-timeout')).to.equal(MANY);
    expect(arrived).to.equal(1);
  });

  it('many who connect and say nothing, or leave, leave nothing behind', async () => {
    gateway = await startGateway(target, { helloTimeoutMs: 1_000 });
    const half = (await realHello({ servername: SNI })).subarray(0, 100);
    const [silent, ended, reset] = [await many(), await many(), await many()];
    for (const socket of ended) socket.end(half);
    for (const socket of reset) socket.resetAndDestroy();
    await Promise.all([...silent, ...ended].map(received));
    await eventually('all are forgotten', () => gateway.open() === 0);
    expect(await gateway.refusals('hello-timeout')).to.equal(MANY);
    expect(await gateway.refusals('closed-early')).to.equal(2 * MANY);
    expect(await isServed(gateway.address)).to.equal(true);
    expect(arrived).to.equal(1);
  });

  it('one address that takes its whole share is refused more, and another is served', async () => {
    gateway = await startGateway(target, { connectionsPerSourceMax: MANY });
    await many('127.0.0.1');
    await eventually('all have come', () => gateway.open() === MANY);
    expect(await isServed(gateway.address, '127.0.0.1')).to.equal(false);
    expect(await gateway.refusals('source-limit')).to.equal(1);
    expect(await isServed(gateway.address, '127.0.0.2')).to.equal(true);
    for (const socket of sockets) socket.destroy();
    await eventually('they are forgotten', () => gateway.open() === 0);
    expect(await isServed(gateway.address, '127.0.0.1')).to.equal(true);
  });

  it('a hello of 16 KiB passes, and one byte more is closed before anybody is dialed', async () => {
    gateway = await startGateway(target);
    const largest = records(helloOf(CLIENT_HELLO_BYTES_MAX));
    const socket = callRaw(gateway.address);
    socket.end(largest);
    expect((await received(socket)).equals(largest)).to.equal(true);
    const giant = callRaw(gateway.address);
    const whole = helloOf(CLIENT_HELLO_BYTES_MAX + 1);
    giant.write(records(whole.subarray(0, 16_000), whole.subarray(16_000)));
    expect((await received(giant)).length).to.equal(0);
    expect(await gateway.refusals('too-large')).to.equal(1);
    expect(arrived).to.equal(1);
  });

  it('one who ends before the endpoint has accepted is served all the same', async () => {
    gateway = await startGateway(target);
    for (let i = 0; i < 50; i++) expect(await isServed(gateway.address)).to.equal(true);
    await eventually('all are forgotten', () => gateway.open() === 0);
  });

  it('many who want an endpoint that does not answer are closed in time, and served when it does', async () => {
    const hung = await hungEndpoint();
    gateway = await startGateway(hung.address, { connectTimeoutMs: 500 });
    const hello = await realHello({ servername: SNI });
    const waiting = await many();
    const ends = waiting.map(received);
    for (const socket of waiting) socket.write(hello);
    // More than was asked for is held once, and no further.
    for (const socket of waiting) socket.write(Buffer.alloc(256 * 1024));
    expect((await Promise.all(ends)).every(bytes => bytes.length === 0)).to.equal(true);
    expect(await gateway.refusals('endpoint-unreachable')).to.equal(MANY);
    await eventually('all are forgotten', () => gateway.open() === 0);
    hung.wake();
    await untilServed(gateway.address);
    hung.end();
  });
});

/** The kernel offers what it has not accepted again only after a second; mocha's limit bounds this. */
async function untilServed(address: SocketAddress): Promise<void> {
  while (!(await isServed(address)));
}

/** A ClientHello for the exported service whose handshake message is exactly this long. */
function helloOf(bytes: number): Buffer {
  const named = serverName(SNI);
  const empty = handshake({ extensions: vector16(named, extension(21, Buffer.alloc(0))) });
  const padding = extension(21, Buffer.alloc(bytes - empty.length));
  return handshake({ extensions: vector16(named, padding) });
}

const ECHO = `require('node:net')
  .createServer({ allowHalfOpen: true }, socket => socket.on('error', () => {}).pipe(socket))
  .listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port); })`;

/** A process that echoes, stopped, with its queue of connections full: the kernel answers no more of them. */
async function hungEndpoint(): Promise<{
  readonly address: SocketAddress;
  readonly wake: () => void;
  readonly end: () => void;
}> {
  const child = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const address = { host: '127.0.0.1', port: Number(port.toString()) };
  child.kill('SIGSTOP');
  const filling = [await connected(callRaw(address)), await connected(callRaw(address))];
  return {
    address,
    wake: () => {
      for (const socket of filling) socket.destroy();
      child.kill('SIGCONT');
    },
    end: () => child.kill('SIGKILL'),
  };
}
