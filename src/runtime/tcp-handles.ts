/**
 * TCP connections as libuv's handles, without Node's sockets and streams around them (docs/decisions/0013).
 *
 * A gateway that sets up a connection to pass on a few kilobytes pays more for those than the kernel takes
 * for the connection. As in socket-internals.ts: used only where every name is found as it was tried, and
 * `tcp-public.ts` does the same job everywhere else.
 */

import { lookup } from 'node:dns/promises';
import { isIP, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { SocketAddress } from '../mesh/address.ts';
import { afterFault } from './faults.ts';
import { BACKLOG, bindError } from './listen.ts';
import { isTriedBelow, nodesBinding } from './socket-internals.ts';
import { type TcpConnection, type TcpHandler, type TcpServer, UNHEARD } from './tcp-connection.ts';

/** What libuv is asked for; it is held until `oncomplete`. */
interface Request {
  oncomplete?: (this: this, status: number) => void;
  connection?: HandleConnection;
  onOutcome?: (isConnected: boolean) => void;
  /** Keeps the bytes while libuv has them. */
  bytes?: Buffer;
}

/** Methods answer a libuv status: below 0 is an error. */
interface Handle {
  connection?: HandleConnection;
  /** What it returns is read into from then on. */
  onread: (this: Handle) => Buffer | undefined;
  onconnection: (status: number, accepted: Handle) => void;
  bind(host: string, port: number): number;
  bind6(host: string, port: number, flags: number): number;
  listen(backlog: number): number;
  connect(request: Request, host: string, port: number): number;
  connect6(request: Request, host: string, port: number): number;
  getpeername(into: { address?: string }): number;
  getsockname(into: { address?: string; port?: number }): number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: Request, bytes: Buffer): number;
  shutdown(request: Request): number;
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, idleSeconds: number): number;
  reset(): number;
  close(): void;
}

interface TcpHandles {
  readonly newHandle: (kind: 'connection' | 'server') => Handle;
  readonly newConnect: () => Request;
  readonly newWrite: () => Request;
  readonly newShutdown: () => Request;
  /** Where libuv's binding leaves what came of the last read and write. */
  readonly state: Int32Array;
  readonly bytesOrError: number;
  readonly wasAsync: number;
}

const HANDLE_METHODS = [
  ...['bind', 'bind6', 'listen', 'connect', 'connect6', 'getpeername', 'getsockname'],
  ...['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'shutdown'],
  ...['setNoDelay', 'setKeepAlive', 'reset', 'close'],
];

/** libuv's UV_EOF. */
const EOF = -4095;

/** Undefined: not possible here. */
export const tcpHandles: TcpHandles | undefined = isTriedBelow ? findTcpHandles() : undefined;

export class HandleServer implements TcpServer {
  readonly #handles: TcpHandles;
  readonly #buffer: Buffer;
  readonly #onConnection: (connection: TcpConnection) => void;
  #handle: Handle | undefined;

  constructor(
    handles: TcpHandles,
    buffer: Buffer,
    onConnection: (connection: TcpConnection) => void,
  ) {
    this.#handles = handles;
    this.#buffer = buffer;
    this.#onConnection = onConnection;
  }

  get listening(): boolean {
    return this.#handle !== undefined;
  }

  async listen(address: SocketAddress): Promise<SocketAddress> {
    const host = isIP(address.host) === 0 ? await resolve(address) : address.host;
    const handle = this.#handles.newHandle('server');
    const bound = host.includes(':')
      ? handle.bind6(host, address.port, 0)
      : handle.bind(host, address.port);
    const status = bound < 0 ? bound : handle.listen(BACKLOG);
    if (status < 0) {
      handle.close();
      throw bindError(errorOf('listen', status), address);
    }
    // What is accepted inherits it.
    handle.setNoDelay(true);
    handle.onconnection = (failed, accepted) => {
      if (failed === 0) this.#accept(accepted);
    };
    this.#handle = handle;
    const name: { address?: string; port?: number } = {};
    handle.getsockname(name);
    return { host: name.address ?? host, port: name.port ?? address.port };
  }

  async close(): Promise<void> {
    this.#handle?.close();
    this.#handle = undefined;
  }

  #accept(handle: Handle): void {
    const connection = new HandleConnection(this.#handles, handle, this.#buffer);
    try {
      this.#onConnection(connection);
      connection.resume();
    } catch (error) {
      afterFault(error, () => connection.reset());
    }
  }
}

export function dialHandle(
  handles: TcpHandles,
  { host, port }: SocketAddress,
  buffer: Buffer,
  onOutcome: (isConnected: boolean) => void,
): TcpConnection {
  const handle = handles.newHandle('connection');
  const connection = new HandleConnection(handles, handle, buffer);
  const request = handles.newConnect();
  request.connection = connection;
  request.onOutcome = onOutcome;
  request.oncomplete = onConnectComplete;
  const status = host.includes(':')
    ? handle.connect6(request, host, port)
    : handle.connect(request, host, port);
  if (status < 0) setImmediate(() => connection.contain(() => onOutcome(false)));
  else {
    handle.setNoDelay(true);
    // Now and not when it is connected: one question to the kernel in place of two.
    connection.resume();
  }
  return connection;
}

class HandleConnection implements TcpConnection {
  handler: TcpHandler = UNHEARD;
  buffer: Buffer;
  readonly #handles: TcpHandles;
  /** Undefined once it is given up. */
  #handle: Handle | undefined;
  #writes = 0;
  #isReading = false;
  #hasEnded = false;
  #endWhenDrained = false;

  constructor(handles: TcpHandles, handle: Handle, buffer: Buffer) {
    this.buffer = buffer;
    this.#handles = handles;
    this.#handle = handle;
    handle.connection = this;
    handle.onread = onRead;
    handle.useUserBuffer(buffer);
  }

  get remoteAddress(): string | undefined {
    const isKnown = (this.#handle?.getpeername(peerName) ?? -1) >= 0;
    return isKnown ? peerName.address : undefined;
  }

  get pending(): boolean {
    return this.#writes > 0;
  }

  pause(): void {
    if (this.#isReading) this.#handle?.readStop();
    this.#isReading = false;
  }

  resume(): void {
    if (this.#isReading || this.#hasEnded || this.#handle === undefined) return;
    this.#isReading = true;
    this.#handle.readStart();
  }

  write(bytes: Buffer): boolean {
    if (this.#handle === undefined) return true;
    const { state, wasAsync } = this.#handles;
    const request = (spareWrite ??= this.#handles.newWrite());
    const status = this.#handle.writeBuffer(request, bytes);
    if (status < 0) {
      this.handler.onBroken();
      return true;
    }
    // One that was finished at once was never given to libuv, and serves again.
    if (state[wasAsync] === 0) return this.#writes === 0;
    spareWrite = undefined;
    request.bytes = bytes;
    request.connection = this;
    request.oncomplete = onWriteComplete;
    this.#writes++;
    return false;
  }

  end(): void {
    if (this.#writes > 0) {
      this.#endWhenDrained = true;
      return;
    }
    this.#endWhenDrained = false;
    const request = this.#handles.newShutdown();
    request.oncomplete = () => undefined;
    this.#handle?.shutdown(request);
  }

  close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }

  reset(): void {
    // It cannot be reset in the moment in which its end is being sent.
    if (this.#handle !== undefined && this.#handle.reset() < 0) this.#handle.close();
    this.#handle = undefined;
  }

  keepAlive(idleMs: number): void {
    this.#handle?.setKeepAlive(true, idleMs / 1000);
  }

  toSocket(): Socket {
    this.pause();
    const handle = this.#handle;
    this.#handle = undefined;
    if (handle !== undefined) delete handle.connection;
    return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true } as object);
  }

  /** Of the next read, when it is another than before. */
  onRead(): Buffer | undefined {
    const count = this.#handles.state[this.#handles.bytesOrError] ?? 0;
    const { buffer } = this;
    try {
      if (count > 0) {
        this.handler.onBytes(count === buffer.length ? buffer : buffer.subarray(0, count));
      } else if (count === EOF) {
        this.pause();
        this.#hasEnded = true;
        this.handler.onEnd();
      } else if (count < 0) this.handler.onBroken();
    } catch (error) {
      afterFault(error, () => this.handler.onBroken());
    }
    return this.buffer === buffer ? undefined : this.buffer;
  }

  onWritten(status: number): void {
    this.#writes--;
    this.contain(() => {
      if (status < 0) this.handler.onBroken();
      else if (this.#writes === 0) {
        if (this.#endWhenDrained) this.end();
        this.handler.onDrained();
      }
    });
  }

  contain(work: () => void): void {
    if (this.#handle === undefined) return;
    try {
      work();
    } catch (error) {
      afterFault(error, () => this.handler.onBroken());
    }
  }
}

/** Of all connections: filled in and read at once. */
const peerName: { address?: string } = {};
/** Of all connections. */
let spareWrite: Request | undefined;

function onRead(this: Handle): Buffer | undefined {
  return this.connection?.onRead();
}

function onWriteComplete(this: Request, status: number): void {
  this.connection?.onWritten(status);
}

function onConnectComplete(this: Request, status: number): void {
  const { connection, onOutcome } = this;
  connection?.contain(() => onOutcome?.(status === 0));
}

async function resolve(address: SocketAddress): Promise<string> {
  try {
    return (await lookup(address.host)).address;
  } catch (error) {
    throw bindError(error as NodeJS.ErrnoException, address);
  }
}

function errorOf(call: string, status: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${call} ${code}`), { code });
}

function findTcpHandles(): TcpHandles | undefined {
  const { TCP, TCPConnectWrap, constants } = nodesBinding<{
    TCP: new (kind: number) => Handle;
    TCPConnectWrap: new () => Request;
    constants: { SOCKET: number; SERVER: number };
  }>('tcp_wrap');
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } =
    nodesBinding<{
      WriteWrap: new () => Request;
      ShutdownWrap: new () => Request;
      streamBaseState: Int32Array;
      kReadBytesOrError: number;
      kLastWriteWasAsync: number;
    }>('stream_wrap');
  const found =
    typeof TCP === 'function' &&
    HANDLE_METHODS.every(
      name => typeof Reflect.get(TCP.prototype as object, name) === 'function',
    ) &&
    typeof TCPConnectWrap === 'function' &&
    typeof constants?.SOCKET === 'number' &&
    typeof constants.SERVER === 'number' &&
    typeof WriteWrap === 'function' &&
    typeof ShutdownWrap === 'function' &&
    streamBaseState instanceof Int32Array &&
    typeof kReadBytesOrError === 'number' &&
    typeof kLastWriteWasAsync === 'number';
  if (!found) return undefined;
  const { SOCKET, SERVER } = constants;
  return {
    newHandle: kind => new TCP(kind === 'server' ? SERVER : SOCKET),
    newConnect: () => new TCPConnectWrap(),
    newWrite: () => new WriteWrap(),
    newShutdown: () => new ShutdownWrap(),
    state: streamBaseState,
    bytesOrError: kReadBytesOrError,
    wasAsync: kLastWriteWasAsync,
  };
}
