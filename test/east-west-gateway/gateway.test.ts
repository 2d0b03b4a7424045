import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { PROBES_BURST_MAX } from '../../src/east-west-gateway/limits.ts';
import type { GatewayListenerOptions } from '../../src/east-west-gateway/listener.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { PROBE_PROTOCOL } from '../../src/trust-federation/probes/peer-probe.ts';
import { eventually, received } from '../support/data-plane.ts';
import { cut, realHello, records } from '../wire/client-hello-bytes.ts';
import { callRaw, SNI, startGateway, type TestGateway } from './gateway-fixture.ts';

describe('the gateway', () => {
  let endpoint: SocketAddress;
  let arrived: Socket[];
  let onArrival: (socket: Socket) => void;
  let stops: (() => Promise<void>)[];

  beforeEach(async () => {
    arrived = [];
    stops = [];
    onArrival = socket => socket.pipe(socket);
    const server = createServer({ allowHalfOpen: true }, socket => {
      arrived.push(socket);
      socket.on('error', () => undefined);
      onArrival(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no TCP server');
    endpoint = { host: '127.0.0.1', port: bound.port };
    stops.push(async () => {
      server.close();
      for (const socket of arrived) socket.destroy();
    });
  });
  afterEach(() => Promise.all(stops.map(stop => stop())));

  async function start(options: Partial<GatewayListenerOptions> = {}): Promise<TestGateway> {
    const gateway = await startGateway(endpoint, { drainMs: 50, ...options });
    stops.push(() => gateway.stop());
    return gateway;
  }

  async function open(address: SocketAddress, hello?: Buffer): Promise<Socket> {
    const socket = callRaw(address);
    socket.write(hello ?? (await realHello({ servername: SNI })));
    return socket;
  }

  it('joins a legal hello to the endpoint and replays it byte for byte', async () => {
    const { address, listener } = await start();
    const hello = await realHello({ servername: SNI, ALPNProtocols: ['h2'] });
    const socket = await open(address, Buffer.concat([hello, Buffer.from('and more')]));
    socket.end();
    expect(
      (await received(socket)).equals(Buffer.concat([hello, Buffer.from('and more')])),
    ).to.equal(true);
    expect(arrived).to.have.length(1);
    await eventually('the connection is forgotten', () => listener.connections().length === 0);
  });

  it('joins a server name in capitals like the one in small letters', async () => {
    const { address } = await start();
    const hello = await realHello({ servername: SNI.toUpperCase() });
    const socket = await open(address, hello);
    socket.end();
    expect((await received(socket)).equals(hello)).to.equal(true);
    expect(arrived).to.have.length(1);
  });

  it('joins a hello that comes byte by byte, in many records', async () => {
    const { address } = await start();
    const hello = records(...cut((await realHello({ servername: SNI })).subarray(5), 20));
    const socket = connect({ ...address, noDelay: true });
    for (const byte of hello) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    let echoed = 0;
    socket.on('data', (chunk: Buffer) => (echoed += chunk.length));
    await eventually('the hello comes back', () => echoed === hello.length);
    socket.destroy();
  });

  it('refuses probes of one address beyond its allowance before any TLS, and not those of another', async () => {
    const { address, refusals } = await start({ now: () => 0 });
    const hello = await realHello({
      servername: 'probe.west.v1.isthmus.internal',
      minVersion: 'TLSv1.3',
      ALPNProtocols: [PROBE_PROTOCOL],
    });
    /** Whether the handshake was begun. */
    const isAnswered = async (localAddress: string): Promise<boolean> => {
      const socket = connect({ ...address, localAddress });
      socket.on('error', () => undefined);
      socket.write(hello);
      const answered = new Promise<boolean>(resolve => {
        socket.once('data', () => resolve(true));
        socket.once('close', () => resolve(false));
      });
      const result = await answered;
      socket.destroy();
      return result;
    };
    for (let i = 0; i < PROBES_BURST_MAX; i++) expect(await isAnswered('127.0.0.1')).to.equal(true);
    expect(await isAnswered('127.0.0.1')).to.equal(false);
    expect(await refusals('probe-limit')).to.equal(1);
    expect(await isAnswered('127.0.0.2')).to.equal(true);
    expect(arrived).to.have.length(0);
  });

  const refused: readonly [string, string, () => Promise<Buffer>][] = [
    [
      'a service that is not exported',
      'unknown-service',
      () => realHello({ servername: SNI.replace('payments', 'ledger') }),
    ],
    [
      'a service that is not exported, in capitals',
      'unknown-service',
      () => realHello({ servername: SNI.replace('payments', 'ledger').toUpperCase() }),
    ],
    [
      'a service that does not exist',
      'unknown-service',
      () => realHello({ servername: SNI.replace('payments', 'nothing') }),
    ],
    [
      'a service of another cluster',
      'other-cluster',
      () => realHello({ servername: SNI.replace('west', 'east') }),
    ],
    ['a name outside the mesh', 'not-a-mesh-name', () => realHello({ servername: 'example.com' })],
    ['no server name', 'no-server-name', () => realHello({})],
    ['plaintext HTTP', 'not-tls', async () => Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['an HTTP/2 preface', 'not-tls', async () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['noise', 'not-tls', async () => Buffer.alloc(100, 0xaa)],
    ['a record that never was', 'malformed', async () => Buffer.of(22, 3, 1, 0xff, 0xff)],
    [
      'a hello over 16 KiB',
      'too-large',
      async () =>
        Buffer.concat([
          Buffer.of(22, 3, 1, 0x40, 0),
          Buffer.of(1, 0, 0x50, 0),
          Buffer.alloc(16_380),
        ]),
    ],
  ];
  for (const [what, reason, hello] of refused) {
    it(`closes on ${what} without a byte, and dials nobody`, async () => {
      const { address, refusals } = await start();
      const socket = await open(address, await hello());
      expect((await received(socket)).length).to.equal(0);
      expect(await refusals(reason)).to.equal(1);
      expect(arrived).to.have.length(0);
      const legal = await open(address);
      await once(legal, 'data');
      legal.destroy();
    });
  }

  it('closes on a hello that does not come in time', async () => {
    const { address, refusals } = await start({ helloTimeoutMs: 20 });
    const socket = await open(address, (await realHello({ servername: SNI })).subarray(0, 50));
    expect((await received(socket)).length).to.equal(0);
    expect(await refusals('hello-timeout')).to.equal(1);
  });

  it('closes when the endpoint does not accept, so that the caller tries another', async () => {
    const { address, route, refusals } = await start();
    route({ host: '127.0.0.1', port: 1 });
    expect((await received(await open(address))).length).to.equal(0);
    expect(await refusals('endpoint-unreachable')).to.equal(1);
  });

  it('stops joining a service the moment it is exported no longer', async () => {
    const { address, route } = await start();
    const first = await open(address);
    await once(first, 'data');
    route(undefined);
    expect((await received(await open(address))).length).to.equal(0);
    first.destroy();
  });

  it('passes on the end of one side while the other goes on', async () => {
    const { address } = await start();
    onArrival = socket => {
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
      socket.on('end', () => socket.end(`${bytes} bytes`));
    };
    const hello = await realHello({ servername: SNI });
    const socket = await open(address, hello);
    socket.end('x');
    expect((await received(socket)).toString()).to.equal(`${hello.length + 1} bytes`);
  });

  it('passes on a break as a break', async () => {
    const { address } = await start();
    onArrival = socket => socket.once('data', () => socket.resetAndDestroy());
    const socket = await open(address);
    let ended = false;
    socket.on('end', () => (ended = true));
    await received(socket);
    expect(ended).to.equal(false);
  });

  it('relays 20 MB unchanged', async () => {
    const { address } = await start();
    const body = randomBytes(20 * 1024 * 1024);
    const hello = await realHello({ servername: SNI });
    const socket = await open(address, hello);
    const echoed = received(socket);
    socket.end(body);
    expect((await echoed).subarray(hello.length).equals(body)).to.equal(true);
  });

  it('holds little for a side that does not read', async () => {
    let relayed = 0;
    const { address } = await start({ tap: bytes => void (relayed += bytes.length) });
    onArrival = socket => socket.pause();
    const socket = await open(address);
    const chunk = Buffer.alloc(64 * 1024);
    const fill = (): void => {
      while (socket.write(chunk));
    };
    socket.on('drain', fill);
    fill();
    let before = -1;
    // What the kernel takes on two sockets, then nothing more.
    await eventually('the relay comes to a stand', () => {
      const still = relayed === before && socket.writableNeedDrain;
      before = relayed;
      return still;
    });
    expect(relayed).to.be.lessThan(64 * 1024 * 1024);
    socket.destroy();
  });

  it('resets connections over its limit, and takes new ones when others have gone', async () => {
    const { address, refusals } = await start({ connectionsMax: 2 });
    const first = await open(address);
    const second = await open(address);
    await Promise.all([once(first, 'data'), once(second, 'data')]);
    expect((await received(await open(address))).length).to.equal(0);
    expect(await refusals('connection-limit')).to.equal(1);
    first.destroy();
    await eventually('one has gone', () => arrived[0]?.destroyed === true);
    const third = await open(address);
    await once(third, 'data');
    for (const socket of [second, third]) socket.destroy();
  });

  it('resets connections of one source over its share', async () => {
    const { address, refusals } = await start({ connectionsPerSourceMax: 1 });
    const first = await open(address);
    await once(first, 'data');
    expect((await received(await open(address))).length).to.equal(0);
    expect(await refusals('source-limit')).to.equal(1);
    first.destroy();
  });

  it('asked to stop, lets connections finish and takes no new ones', async () => {
    const { address, stop } = await start({ drainMs: 10_000 });
    const socket = await open(address);
    await once(socket, 'data');
    let stopped = false;
    const done = stop().then(() => (stopped = true));
    const [error] = (await once(connect(address), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    socket.write('more');
    await once(socket, 'data');
    expect(stopped).to.equal(false);
    socket.end();
    await done;
  });

  it('asked to stop, cuts connections when the drain time is over', async () => {
    const { address, stop } = await start({ drainMs: 20 });
    const socket = await open(address);
    await once(socket, 'data');
    const closed = received(socket);
    await stop();
    await closed;
  });
});
