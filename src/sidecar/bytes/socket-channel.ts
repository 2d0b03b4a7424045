/** A TCP socket of an application as a channel. Needs `allowHalfOpen`, or an end would be answered by Node. */

import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { afterFault } from '../../runtime/faults.ts';
import { giveOnread } from '../../runtime/socket-internals.ts';
import { type SocketWriter, socketWriter } from '../../runtime/socket-writer.ts';
import { GATHERED_BYTES_MIN, READ_BYTES } from '../limits.ts';
import { bulk } from './bulk.ts';
import type { Channel, ChannelOwner } from './channel.ts';

/** Of all sockets: Node gives one without an `onread` 64 KiB anew for each read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** What is small is put together here. Another takes its place when the kernel did not take all of it. */
let scratch = Buffer.allocUnsafeSlow(GATHERED_BYTES_MIN);
/** Of the channel that gathers, one of all: what a peer sends for one stream comes in a row. */
let flushGathered: (() => void) | undefined;

/** A connection of ours, and its channel; 'connect' and 'error' are the caller's to hear. */
export function connectChannel(address: SocketAddress): {
  readonly socket: Socket;
  readonly channel: SocketChannel;
} {
  const onread = onreadFor((): SocketChannel => channel);
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true, onread });
  const channel = new SocketChannel(socket);
  return { socket, channel };
}

/** A connection that reads nothing yet. */
export function acceptedChannel(socket: Socket): SocketChannel {
  const channel = new SocketChannel(socket);
  giveOnread(
    socket,
    onreadFor(() => channel),
  );
  return channel;
}

function onreadFor(channel: () => SocketChannel) {
  return {
    buffer: readBuffer,
    callback: (bytes: number): boolean => {
      channel().onRead(readBuffer.subarray(0, bytes));
      return true;
    },
  };
}

export class SocketChannel implements Channel {
  readonly #socket: Socket;
  /** When it is first needed: only a connected socket has what to write to. */
  #writer: SocketWriter | undefined;
  #owner: ChannelOwner | undefined;
  #closed = false;
  /** The peer has ended its direction. */
  #ended = false;
  #paused = true;
  /** The bulk that came in a row within this event-loop turn, and how much of it there is. */
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  /** Still being sent. */
  #unsent: Buffer[] = [];
  readonly #flush = (): void => {
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    this.#gathered = undefined;
    flushGathered = undefined;
    const bytes = gathered.subarray(0, this.#gatheredBytes);
    if (this.#write(bytes)) bulk.recycle(gathered);
    else this.#unsent.push(gathered);
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.onRead(bytes));
    socket.on('end', () => {
      this.#ended = true;
      this.#tell(owner => owner.onEnd());
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
    try {
      this.#owner?.onData(bytes);
    } catch (error) {
      this.#onFault(error);
    }
  }

  attach(owner: ChannelOwner): void {
    this.#owner = owner;
    // With nothing left to read a socket ends although it is paused.
    if (this.#ended) owner.onEnd();
    this.resume();
  }

  send(before: string, bytes: Buffer, start: number, end: number, after: string): boolean {
    if (this.#closed) return true;
    const size = before.length + (end - start) + after.length;
    if (this.#gathered !== undefined || size > GATHERED_BYTES_MIN) {
      if (before !== '') this.#gather(Buffer.from(before, 'latin1'));
      this.#gather(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
      if (after !== '') this.#gather(Buffer.from(after, 'latin1'));
    } else if (start === end) this.#write(before + after);
    else {
      scratch.write(before, 0, 'latin1');
      bytes.copy(scratch, before.length, start, end);
      if (after !== '') scratch.write(after, size - after.length, 'latin1');
      if (!this.#write(scratch.subarray(0, size))) {
        scratch = Buffer.allocUnsafeSlow(GATHERED_BYTES_MIN);
      }
    }
    return this.#writer?.pending !== true;
  }

  end(): void {
    if (this.#closed) return;
    this.#flush();
    if (this.#writer === undefined) this.#socket.end();
    else this.#writer.end();
  }

  abort(): void {
    this.#closed = true;
    this.#owner = undefined;
    this.#gathered = undefined;
    if (flushGathered === this.#flush) flushGathered = undefined;
    this.#socket.resetAndDestroy();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** A body arrives in TLS records of 16 KiB; those in a row leave in one system call. */
  #gather(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#gathered === undefined) {
        flushGathered?.();
        flushGathered = this.#flush;
        this.#gathered = bulk.take();
        this.#gatheredBytes = 0;
        setImmediate(this.#flush);
      }
      const copied = bytes.copy(this.#gathered, this.#gatheredBytes, at);
      this.#gatheredBytes += copied;
      at += copied;
      if (this.#gatheredBytes === this.#gathered.length) this.#flush();
    }
  }

  #write(data: Buffer | string): boolean {
    this.#writer ??= socketWriter(this.#socket, () => this.#onDrained());
    return this.#writer.write(data);
  }

  #onDrained(): void {
    for (const bytes of this.#unsent) bulk.recycle(bytes);
    this.#unsent = [];
    this.#tell(owner => owner.onWritable());
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#ended || !this.#socket.writableFinished) this.#tell(owner => owner.onBroken(false));
  }

  #tell(call: (owner: ChannelOwner) => void): void {
    try {
      if (this.#owner !== undefined) call(this.#owner);
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** A fault of the owner ends this channel and no other. */
  #onFault(error: unknown): void {
    const owner = this.#owner;
    afterFault(error, () => {
      this.abort();
      owner?.onBroken(false);
    });
  }
}
