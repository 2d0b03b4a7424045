import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { createTcpServer, dial } from '../../src/runtime/tcp.ts';
import { tcpHandles } from '../../src/runtime/tcp-binding.ts';
import type { TcpConnection, TcpHandler, TcpServer } from '../../src/runtime/tcp-connection.ts';
import { HandleServer } from '../../src/runtime/tcp-handles.ts';
import { dialPublic, PublicServer } from '../../src/runtime/tcp-public.ts';
import { eventually } from '../support/data-plane.ts';
import { meshErrorOf } from './rejection.ts';

const isPublic = process.env['ISTHMUS_SOCKETS'] === 'public';
const ANY = { host: '127.0.0.1', port: 0 };
const SMALL_BYTES = 4;
/** More than the kernel's buffers of both ends hold. */
const LARGE = Buffer.alloc(16 * 1024 * 1024, 'large');

/** Writes down what it is told. */
class Recorder implements TcpHandler {
  readonly told: string[] = [];
  readonly chunks: Buffer[] = [];
  connection: TcpConnection | undefined;
  onBytes(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
  }
  onEnd(): void {
    this.told.push('end');
  }
  onDrained(): void {
    this.told.push('drained');
  }
  onBroken(): void {
    this.told.push('broken');
    this.connection?.reset();
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

describe('tcp', () => {
  it('is below the public API where it was tried, unless asked not to be', () => {
    expect(createTcpServer(Buffer.alloc(1), () => undefined)).to.be.instanceOf(
      isPublic ? PublicServer : HandleServer,
    );
    expect(tcpHandles === undefined).to.equal(isPublic);
  });

  let server: TcpServer;
  let address: SocketAddress;
  let accepted: Recorder;
  let caller: Socket;
  let closing: (() => void)[];

  beforeEach(async () => {
    closing = [];
    accepted = new Recorder();
    server = createTcpServer(Buffer.alloc(SMALL_BYTES), connection => {
      accepted.connection = connection;
      connection.handler = accepted;
      closing.push(() => connection.reset());
    });
    address = await server.listen(ANY);
    caller = connect({ ...address, allowHalfOpen: true });
    caller.on('error', () => undefined);
    await eventually('it is accepted', () => accepted.connection !== undefined);
  });
  afterEach(async () => {
    caller.destroy();
    for (const close of closing) close();
    await server.close();
  });

  function connection(): TcpConnection {
    if (accepted.connection === undefined) throw new Error('nothing was accepted');
    return accepted.connection;
  }

  it('says who calls', () => {
    expect(connection().remoteAddress).to.equal('127.0.0.1');
  });

  it('tells bytes in order and then the end, and still writes after it', async () => {
    caller.end('abcdefghijklmnopqrstuvwxyz');
    await eventually('the end is told', () => accepted.told.includes('end'));
    expect(accepted.text).to.equal('abcdefghijklmnopqrstuvwxyz');
    expect(connection().write(Buffer.from('answer'))).to.equal(true);
    connection().end();
    expect((await once(caller, 'data')).toString()).to.equal('answer');
    await once(caller, 'end');
    expect(accepted.told).to.deep.equal(['end']);
  });

  it('reads into another buffer from the next read on, where it can be chosen', async () => {
    const first = new Promise<void>(resolve => {
      accepted.onBytes = bytes => {
        accepted.chunks.push(Buffer.from(bytes));
        connection().buffer = Buffer.alloc(1024);
        resolve();
      };
    });
    caller.write('abcdefgh');
    await first;
    await eventually('the rest is told', () => accepted.text === 'abcdefgh');
    expect(accepted.chunks.map(String)).to.deep.equal(isPublic ? ['abcdefgh'] : ['abcd', 'efgh']);
  });

  it('tells nothing while paused, and the rest afterwards', async () => {
    caller.write('1st');
    await eventually('the first is told', () => accepted.text === '1st');
    connection().pause();
    caller.write('2nd');
    // A round trip the other way: by then the second has arrived here.
    connection().write(Buffer.from('reply'));
    await once(caller, 'data');
    expect(accepted.text).to.equal('1st');
    connection().resume();
    await eventually('the second is told', () => accepted.text === '1st2nd');
  });

  it('says when what the kernel did not take is gone, and ends after it', async () => {
    expect(connection().write(LARGE)).to.equal(false);
    expect(connection().pending).to.equal(true);
    connection().end();
    let bytes = 0;
    caller.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(caller, 'end');
    expect(bytes).to.equal(LARGE.length);
    await eventually('it is drained', () => accepted.told.includes('drained'));
    expect(connection().pending).to.equal(false);
  });

  it('still sends what was written when it is closed, and tells no more', async () => {
    connection().write(Buffer.from('last'));
    connection().close();
    const chunks: Buffer[] = [];
    for await (const chunk of caller) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).to.equal('last');
    caller.end();
    expect(accepted.told).to.deep.equal([]);
    expect(connection().write(Buffer.from('late'))).to.equal(true);
  });

  it('shows a reset as a break, and is told one as such', async () => {
    const other = connection();
    const broken = once(caller, 'error');
    other.reset();
    expect(((await broken) as [NodeJS.ErrnoException])[0].code).to.equal('ECONNRESET');
    accepted.connection = undefined;
    const second = connect(address);
    second.on('error', () => undefined);
    await eventually('it is accepted', () => accepted.connection !== undefined);
    second.resetAndDestroy();
    await eventually('the break is told', () => accepted.told.length > 0);
    expect(accepted.told).to.deep.equal(['broken']);
  });

  it('is told as a break what its own handler throws', async () => {
    accepted.onBytes = () => {
      throw new Error('a fault made for a test');
    };
    caller.write('x');
    await eventually('the break is told', () => accepted.told.includes('broken'));
  });

  it('becomes a socket of Node that reads what comes next', async () => {
    caller.write('1st');
    await eventually('the first is told', () => accepted.text === '1st');
    const socket = connection().toSocket();
    closing.push(() => socket.destroy());
    socket.unshift(Buffer.from('again'));
    socket.resume();
    expect((await once(socket, 'data')).toString()).to.equal('again');
    socket.write('reply');
    expect((await once(caller, 'data')).toString()).to.equal('reply');
    expect(accepted.told).to.deep.equal([]);
  });

  it('says which address is taken, and binds one that is not', async () => {
    const second = createTcpServer(Buffer.alloc(SMALL_BYTES), () => undefined);
    await meshErrorOf(second.listen(address), 'ADDRESS_IN_USE');
    expect((await second.listen(ANY)).port).to.not.equal(address.port);
    await second.close();
    expect(second.listening).to.equal(false);
  });

  for (const host of ['127.0.0.1', 'localhost', '::1']) {
    it(`dials ${host}, and says so when nobody listens there`, async () => {
      const peer = createServer(socket => socket.end('welcome'));
      peer.listen(0, host);
      await once(peer, 'listening');
      const bound = peer.address();
      if (bound === null || typeof bound === 'string') throw new Error('no TCP server');
      const target = { host, port: bound.port };
      const told = new Recorder();
      const dialed = dial(target, Buffer.alloc(SMALL_BYTES), isConnected => {
        if (isConnected) dialed.handler = told;
      });
      await eventually('the welcome is told', () => told.text === 'welcome');
      dialed.close();
      peer.close();
      await once(peer, 'close');
      expect(await outcomeOf(target)).to.equal(false);
    });
  }

  it('says nothing of a dial that was given up', async () => {
    let outcomes = 0;
    dial(address, Buffer.alloc(SMALL_BYTES), () => outcomes++).close();
    dialPublic(address, Buffer.alloc(SMALL_BYTES), () => outcomes++).close();
    // Later ones to the same address have connected by then.
    expect(await outcomeOf(address)).to.equal(true);
    expect(outcomes).to.equal(0);
  });

  function outcomeOf(target: SocketAddress): Promise<boolean> {
    return new Promise(resolve => {
      const dialed = dial(target, Buffer.alloc(SMALL_BYTES), resolve);
      closing.push(() => dialed.close());
    });
  }
});
