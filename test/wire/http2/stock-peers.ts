/** Our connection tied to node:http2 (nghttp2) over sockets, and applications that use the tunnels. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server, Socket } from 'node:net';
import type { ResponseHead } from '../../../src/wire/http2/heads.ts';
import type { Http2Stream, StreamHandler } from '../../../src/wire/http2/stream.ts';
import { CONNECT, OK } from './endpoint.ts';
import { SocketWire } from './socket-wire.ts';

export const TEN_MEGABYTES = Buffer.alloc(
  10 * 1024 * 1024,
  Buffer.from(Array.from({ length: 251 }, (_, i) => i)),
);
export const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Sends what comes back where it came from, holding no more than one chunk that was not accepted. */
export class Echo implements StreamHandler {
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
export class Caller implements StreamHandler {
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
export async function stockClient(): Promise<{ session: ClientHttp2Session; wire: SocketWire }> {
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
export async function stockServer(
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

export function openOn(wire: SocketWire): Caller {
  const caller = new Caller();
  const stream = wire.connection.openStream(CONNECT, caller);
  if (stream === undefined) throw new Error('no room for a stream');
  caller.stream = stream;
  return caller;
}

export const tunnelTo = (session: ClientHttp2Session): ClientHttp2Stream =>
  session.request({ ':method': 'CONNECT', ':authority': 'a.b:80' });

export function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}

export const closed = (stream: ClientHttp2Stream): Promise<void> =>
  new Promise(resolve => {
    stream.on('error', () => undefined);
    stream.once('close', () => resolve());
  });

export async function collect(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export const accept = (stream: ServerHttp2Stream): void => stream.respond({ ':status': 200 });

export function closeAll(): void {
  for (const close of closers.splice(0)) close();
}
