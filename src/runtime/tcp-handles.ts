/**
 * TCP connections as libuv's handles, without Node's sockets and streams around them (docs/decisions/0013).
 *
 * A gateway that sets up a connection to pass on a few kilobytes pays more for those than the kernel takes
 * for the connection. `tcp-binding.ts` says where there are such handles; `tcp-public.ts` does the same job
 * everywhere else.
 */

import { lookup } from 'node:dns/promises';
import { isIP, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { SocketAddress } from '../mesh/address.ts';
import { afterFault } from './faults.ts';
import { BACKLOG, bindError } from './listen.ts';
import type { Handle, HandleOwner, Request, TcpHandles } from './tcp-binding.ts';
import { type TcpConnection, type TcpHandler, type TcpServer, UNHEARD } from './tcp-connection.ts';

/** libuv's UV_EOF. */
const EOF = -4095;

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
  request.oncomplete = connected => connection.contain(() => onOutcome(connected === 0));
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

class HandleConnection implements TcpConnection, HandleOwner {
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
    handle.owner = this;
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
    request.owner = this;
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
    if (handle !== undefined) delete handle.owner;
    return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true } as object);
  }

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
  return this.owner?.onRead();
}

function onWriteComplete(this: Request, status: number): void {
  this.owner?.onWritten(status);
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
