/** A TCP socket of an application as a channel. Needs `allowHalfOpen`, or an end would be answered by Node. */

import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { READ_BYTES } from '../limits.ts';
import type { Channel, ChannelOwner } from './channel.ts';

/** Up to here one copy is cheaper than a second buffer in the write. */
const JOINED_BYTES_MAX = 16 * 1024;

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
    if (size > JOINED_BYTES_MAX) {
      this.#socket.cork();
      if (before !== '') this.#socket.write(before, 'latin1');
      this.#socket.write(bytes.subarray(start, end));
      if (after !== '') this.#socket.write(after, 'latin1');
      this.#socket.uncork();
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

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#ended || !this.#socket.writableFinished) this.#owner?.onBroken(false);
  }
}
