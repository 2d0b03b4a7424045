/** A TCP socket of an application as a channel. Needs `allowHalfOpen`, or an end would be answered by Node. */

import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { READ_BYTES } from '../limits.ts';
import type { Channel, ChannelOwner } from './channel.ts';

/** From here on bytes are part of something larger, and wait for the rest of their event-loop turn. */
const BULK_BYTES_MIN = 8 * 1024;

/** Of all connections that we open: to sockets without one Node gives 64 KiB anew for each read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** A connection of ours, and its channel; 'connect' and 'error' are the caller's to hear. */
export function connectChannel(address: SocketAddress): {
  readonly socket: Socket;
  readonly channel: SocketChannel;
} {
  const onread = {
    buffer: readBuffer,
    callback: (bytes: number): boolean => {
      channel.onRead(readBuffer.subarray(0, bytes));
      return true;
    },
  };
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true, onread });
  const channel = new SocketChannel(socket);
  return { socket, channel };
}

export class SocketChannel implements Channel {
  readonly #socket: Socket;
  #owner: ChannelOwner | undefined;
  #closed = false;
  /** The peer has ended its direction. */
  #ended = false;
  #corked = false;
  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  /** Takes over a socket that reads nothing yet. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.onRead(bytes));
    socket.on('drain', () => this.#owner?.onWritable());
    socket.on('end', () => {
      this.#ended = true;
      this.#owner?.onEnd();
    });
    // 'close' follows and says what there is to say.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#onClose());
    socket.pause();
    this.#ended = socket.readableEnded;
    this.#closed = socket.destroyed;
  }

  get closed(): boolean {
    return this.#closed;
  }

  onRead(bytes: Buffer): void {
    this.#owner?.onData(bytes);
  }

  attach(owner: ChannelOwner): void {
    this.#owner = owner;
    // With nothing left to read a socket ends although it is paused.
    if (this.#ended) owner.onEnd();
    this.#socket.resume();
  }

  send(before: string, bytes: Buffer, start: number, end: number, after: string): boolean {
    if (this.#closed || !this.#socket.writable) return true;
    const size = end - start;
    if (size >= BULK_BYTES_MIN) {
      this.#corkForTurn();
      if (before !== '') this.#socket.write(before, 'latin1');
      this.#socket.write(bytes.subarray(start, end));
      if (after !== '') this.#socket.write(after, 'latin1');
      return !this.#socket.writableNeedDrain;
    }
    if (size === 0) return this.#socket.write(before + after, 'latin1');
    const joined = Buffer.allocUnsafe(before.length + size + after.length);
    joined.write(before, 0, 'latin1');
    bytes.copy(joined, before.length, start, end);
    joined.write(after, before.length + size, 'latin1');
    return this.#socket.write(joined);
  }

  end(): void {
    if (this.#closed) return;
    this.#socket.end();
  }

  abort(): void {
    this.#closed = true;
    this.#owner = undefined;
    this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** A body arrives in TLS records of 16 KiB; those of one turn leave in one system call. */
  #corkForTurn(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    setImmediate(this.#uncork);
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#ended || !this.#socket.writableFinished) this.#owner?.onBroken(false);
  }
}
