/** TCP connections by Node's public API: the way that always works, and the oracle of the other. */

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../mesh/address.ts';
import { contain } from './faults.ts';
import { closeServer, listen } from './listen.ts';
import { type SocketWriter, socketWriter } from './socket-writer.ts';
import { type TcpConnection, type TcpHandler, type TcpServer, UNHEARD } from './tcp-connection.ts';

export class PublicServer implements TcpServer {
  readonly #server: Server;

  constructor(buffer: Buffer, onConnection: (connection: TcpConnection) => void) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
      const connection = new PublicConnection(socket, buffer);
      contain(
        () => onConnection(connection),
        () => connection.reset(),
      );
    });
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  close(): Promise<void> {
    return closeServer(this.#server);
  }
}

export function dialPublic(
  address: SocketAddress,
  buffer: Buffer,
  onOutcome: (isConnected: boolean) => void,
): TcpConnection {
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
  const connection = new PublicConnection(socket, buffer);
  connection.handler = { ...UNHEARD, onBroken: () => onOutcome(false) };
  socket.once('connect', () => connection.contain(() => onOutcome(true)));
  return connection;
}

class PublicConnection implements TcpConnection {
  handler: TcpHandler = UNHEARD;
  /** Node reads into its own; see TcpConnection. */
  buffer: Buffer;
  readonly remoteAddress: string | undefined;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  #isOpen = true;

  constructor(socket: Socket, buffer: Buffer) {
    this.buffer = buffer;
    this.remoteAddress = socket.remoteAddress;
    this.#socket = socket;
    this.#writer = socketWriter(socket, () => this.contain(() => this.handler.onDrained()));
    // 'close' follows and says what there is to say.
    socket.on('error', () => undefined);
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
  }

  get pending(): boolean {
    return this.#writer.pending;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  write(bytes: Buffer): boolean {
    return this.#writer.write(bytes);
  }

  end(): void {
    this.#writer.end();
  }

  close(): void {
    this.#isOpen = false;
    // Nothing was written to one that is not connected, and it may never be.
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.destroySoon();
  }

  reset(): void {
    this.#isOpen = false;
    this.#socket.resetAndDestroy();
  }

  keepAlive(idleMs: number): void {
    this.#socket.setKeepAlive(true, idleMs);
  }

  toSocket(): Socket {
    const socket = this.#socket;
    this.#isOpen = false;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    return socket.pause();
  }

  contain(work: () => void): void {
    if (!this.#isOpen) return;
    contain(work, () => this.handler.onBroken());
  }

  readonly #onData = (bytes: Buffer): void => this.contain(() => this.handler.onBytes(bytes));
  readonly #onEnd = (): void => this.contain(() => this.handler.onEnd());
  readonly #onClose = (): void => {
    const isClean = this.#socket.readableEnded && this.#socket.writableFinished;
    if (!isClean) this.contain(() => this.handler.onBroken());
  };
}
