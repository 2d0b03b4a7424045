/** Our connection against node:http2 (nghttp2), as client and as server, over sockets. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import type { ResponseHead } from '../../../src/wire/http2/heads.ts';
import type { Http2Stream, StreamHandler } from '../../../src/wire/http2/stream.ts';
import { CONNECT, OK } from './endpoint.ts';
import { SocketWire } from './socket-wire.ts';

const TEN_MEGABYTES = Buffer.alloc(
  10 * 1024 * 1024,
  Buffer.from(Array.from({ length: 251 }, (_, i) => i)),
);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Sends what comes back where it came from, holding no more than one chunk that was not accepted. */
class Echo implements StreamHandler {
  readonly stream: Http2Stream;
  #held: Buffer[] = [];
  #hasEnded = false;

  constructor(stream: Http2Stream) {
    this.stream = stream;
    stream.sendHeaders(OK);
  }

  onData(bytes: Buffer): void {
    this.#held.push(Buffer.from(bytes));
    this.onWritable();
  }

  onEnd(): void {
    this.#hasEnded = true;
    this.onWritable();
  }

  onWritable(): void {
    for (let [first] = this.#held; first !== undefined; [first] = this.#held) {
      const accepted = this.stream.write(first);
      this.stream.consumed(accepted);
      if (accepted < first.length) {
        this.#held[0] = first.subarray(accepted);
        return;
      }
      this.#held.shift();
    }
    if (this.#hasEnded) this.stream.end();
  }

  onReset(): void {
    this.#held = [];
  }
}

interface Resolvers {
  status: (code: number) => void;
  whole: (bytes: Buffer) => void;
  reset: (code: number) => void;
}

/** Sends some bytes and collects what comes. */
class Caller implements StreamHandler {
  /** Set once there is one. */
  stream!: Http2Stream;
  readonly status: Promise<number>;
  readonly whole: Promise<Buffer>;
  readonly reset: Promise<number>;
  #chunks: Buffer[] = [];
  #unsent: Buffer = Buffer.alloc(0);
  readonly #resolve: Resolvers;

  constructor() {
    const resolve: Partial<Resolvers> = {};
    this.status = new Promise(done => {
      resolve.status = done;
    });
    this.whole = new Promise(done => {
      resolve.whole = done;
    });
    this.reset = new Promise(done => {
      resolve.reset = done;
    });
    this.#resolve = resolve as Resolvers;
  }

  send(bytes: Buffer): void {
    this.#unsent = bytes;
    this.onWritable();
  }

  onHeaders(head: ResponseHead): void {
    this.#resolve.status(head.status);
  }

  onData(bytes: Buffer): void {
    this.#chunks.push(Buffer.from(bytes));
    this.stream.consumed(bytes.length);
  }

  onEnd(): void {
    this.#resolve.whole(Buffer.concat(this.#chunks));
  }

  onReset(code: number): void {
    this.#resolve.reset(code);
  }

  onWritable(): void {
    while (this.#unsent.length > 0) {
      const accepted = this.stream.write(this.#unsent);
      this.#unsent = this.#unsent.subarray(accepted);
      if (accepted === 0) return;
    }
    this.stream.end();
  }
}

const closers: (() => void)[] = [];

async function listening(server: Server | Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function dial(port: number): Promise<Socket> {
  const socket = new Socket();
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  closers.push(() => socket.destroy());
  return socket;
}

/** Our server with a stock client. */
async function stockClient(): Promise<{ session: ClientHttp2Session; wire: SocketWire }> {
  const server = createTcpServer();
  const port = await listening(server);
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const session = connect(`http://127.0.0.1:${port}`);
  closers.push(() => session.destroy());
  const [socket] = await accepted;
  closers.push(() => socket.destroy());
  const wire = new SocketWire(socket, 'server');
  wire.whenStream = stream => new Echo(stream);
  return { session, wire };
}

/** Our client with a stock server. */
async function stockServer(
  onStream: (stream: ServerHttp2Stream) => void,
): Promise<{ wire: SocketWire; session: ServerHttp2Session }> {
  const server = createServer();
  server.on('stream', stream => {
    stream.on('error', () => undefined);
    onStream(stream);
  });
  const port = await listening(server);
  const opened = once(server, 'session') as Promise<[ServerHttp2Session]>;
  const wire = new SocketWire(await dial(port), 'client');
  const [session] = await opened;
  closers.push(() => session.destroy());
  return { wire, session };
}

function openOn(wire: SocketWire): Caller {
  const caller = new Caller();
  const stream = wire.connection.openStream(CONNECT, caller);
  if (stream === undefined) throw new Error('no room for a stream');
  caller.stream = stream;
  return caller;
}

const tunnelTo = (session: ClientHttp2Session): ClientHttp2Stream =>
  session.request({ ':method': 'CONNECT', ':authority': 'a.b:80' });

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}

const closed = (stream: ClientHttp2Stream): Promise<void> =>
  new Promise(resolve => {
    stream.on('error', () => undefined);
    stream.once('close', () => resolve());
  });

async function collect(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const accept = (stream: ServerHttp2Stream): void => stream.respond({ ':status': 200 });

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe('our server and a stock client', () => {
  it('carry a tunnel', async () => {
    const { session } = await stockClient();
    const stream = tunnelTo(session);
    stream.end('hello');
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).to.equal(200);
    expect((await collect(stream)).toString()).to.equal('hello');
  });

  it('carry 10 MB both ways at once, with both windows closing again and again', async () => {
    const { session, wire } = await stockClient();
    const stream = tunnelTo(session);
    // In pieces: node:http2 counts what is queued against its own memory limit.
    Readable.from(pieces(TEN_MEGABYTES)).pipe(stream);
    expect(digest(await collect(stream))).to.equal(digest(TEN_MEGABYTES));
    expect(wire.connection.streams).to.equal(0);
  });

  it('carry fifty tunnels at once', async () => {
    const { session } = await stockClient();
    const bodies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const stream = tunnelTo(session);
        stream.end(Buffer.alloc(100_000, i));
        return collect(stream);
      }),
    );
    for (const [i, body] of bodies.entries()) {
      expect(body.equals(Buffer.alloc(100_000, i))).to.equal(true);
    }
  });

  it('refuse a request that is no CONNECT', async () => {
    const { session, wire } = await stockClient();
    wire.whenStream = stream => {
      stream.sendHeaders({ status: 405, fields: [['allow', 'CONNECT']] }, true);
      return new Caller();
    };
    const stream = session.request({ ':method': 'GET', ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect([headers[':status'], headers['allow']]).to.deep.equal([405, 'CONNECT']);
  });

  it('understand a large head, and answer a PING', async () => {
    const { session, wire } = await stockClient();
    let seen = '';
    wire.whenStream = (stream, head) => {
      seen = head.fields.find(([name]) => name === 'x-large')?.[1] ?? '';
      return new Echo(stream);
    };
    const value = 'abc '.repeat(2_000).trim();
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1', 'x-large': value });
    stream.end();
    await collect(stream);
    expect(seen).to.equal(value);
    await new Promise<void>((resolve, reject) => {
      session.ping(error => (error === null ? resolve() : reject(error)));
    });
  });

  it('hear of resets from either side', async () => {
    const { session, wire } = await stockClient();
    const callers: Caller[] = [];
    wire.whenStream = stream => {
      stream.sendHeaders(OK);
      const caller = new Caller();
      caller.stream = stream;
      callers.push(caller);
      return caller;
    };
    const first = tunnelTo(session);
    await once(first, 'response');
    first.close(constants.NGHTTP2_CANCEL);
    expect(await callers[0]!.reset).to.equal(H2.CANCEL);
    const second = tunnelTo(session);
    await once(second, 'response');
    callers[1]!.stream.reset(H2.CONNECT_ERROR);
    await closed(second);
    expect(second.rstCode).to.equal(H2.CONNECT_ERROR);
  });

  it('go away without losing what is under way', async () => {
    const { session, wire } = await stockClient();
    const stream = tunnelTo(session);
    await once(stream, 'response');
    wire.connection.goaway();
    await once(session, 'goaway');
    stream.end(TEN_MEGABYTES.subarray(0, 1_000_000));
    expect((await collect(stream)).length).to.equal(1_000_000);
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
    await once(session, 'close');
  });

  it('are told why, when the client breaks a rule', async () => {
    const { session, wire } = await stockClient();
    session.on('error', () => undefined);
    const goaway = once(session, 'goaway') as Promise<[number]>;
    while (!session.destroyed) {
      for (let i = 0; i < 100; i++) {
        const stream = tunnelTo(session);
        stream.on('error', () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    expect((await wire.ended).kind).to.equal('failed');
    expect((await goaway)[0]).to.equal(H2.ENHANCE_YOUR_CALM);
  });
});

describe('our client and a stock server', () => {
  it('carry a tunnel, and many writes of one turn as one', async () => {
    const { wire } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const callers = Array.from({ length: 20 }, () => openOn(wire));
    for (const [i, caller] of callers.entries()) caller.send(Buffer.alloc(100, i));
    const bodies = await Promise.all(callers.map(({ whole }) => whole));
    for (const [i, body] of bodies.entries()) {
      expect(body.equals(Buffer.alloc(100, i))).to.equal(true);
    }
    expect(await callers[0]!.status).to.equal(200);
    expect(wire.writes).to.be.lessThan(20);
  });

  it('carry 10 MB both ways at once, with both windows closing again and again', async () => {
    const { wire } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    caller.send(TEN_MEGABYTES);
    expect(digest(await caller.whole)).to.equal(digest(TEN_MEGABYTES));
  });

  it('follow settings that change while a tunnel is open', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    await new Promise<void>(resolve => {
      session.settings({ initialWindowSize: 10, maxConcurrentStreams: 1 }, () => resolve());
    });
    expect(wire.connection.canOpen).to.equal(false);
    caller.send(Buffer.alloc(300_000, 7));
    await new Promise<void>(resolve => {
      session.settings({ initialWindowSize: 100_000 }, () => resolve());
    });
    expect((await caller.whole).equals(Buffer.alloc(300_000, 7))).to.equal(true);
    expect(wire.connection.canOpen).to.equal(true);
  });

  it('pass on a refusal', async () => {
    const { wire } = await stockServer(stream => {
      stream.respond({ ':status': 503, 'x-isthmus-error': 'no' });
      stream.end('why not');
    });
    const caller = openOn(wire);
    expect(await caller.status).to.equal(503);
    expect((await caller.whole).toString()).to.equal('why not');
  });

  it('hear of resets from either side', async () => {
    const streams: ServerHttp2Stream[] = [];
    const { wire } = await stockServer(stream => {
      accept(stream);
      streams.push(stream);
    });
    const [first, second] = [openOn(wire), openOn(wire)];
    await Promise.all([first.status, second.status]);
    streams[0]!.close(constants.NGHTTP2_CONNECT_ERROR);
    expect(await first.reset).to.equal(H2.CONNECT_ERROR);
    second.stream.reset(H2.CANCEL);
    await once(streams[1]!, 'close');
    expect(streams[1]!.rstCode).to.equal(H2.CANCEL);
  });

  it('go away without losing what is under way, when the server asks', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    session.close();
    while (wire.connection.canOpen) await new Promise(resolve => setImmediate(resolve));
    expect(wire.goaways).to.deep.equal([H2.NO_ERROR]);
    caller.send(TEN_MEGABYTES.subarray(0, 1_000_000));
    expect((await caller.whole).length).to.equal(1_000_000);
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
  });

  it('go away when we ask', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    const goaway = once(session, 'goaway');
    wire.connection.goaway();
    await goaway;
    caller.send(Buffer.from('last words'));
    expect((await caller.whole).toString()).to.equal('last words');
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
  });

  it('find out that a server answers, and that it no longer does', async () => {
    const { wire, session } = await stockServer(accept);
    wire.connection.ping();
    expect(wire.connection.pingSentMs).to.be.a('number');
    while (wire.connection.pingSentMs !== undefined) {
      await new Promise(resolve => setImmediate(resolve));
    }
    const caller = openOn(wire);
    await caller.status;
    session.destroy();
    expect(await caller.reset).to.be.a('number');
    expect((await wire.ended).kind).to.equal('failed');
  });
});
