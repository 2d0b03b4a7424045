/**
 * Bytes both ways between two sockets.
 *
 * A slow reader stops its own writer and nothing else: at most one read is held. One side's end is passed
 * on while the other keeps flowing (half-close). A side that breaks off is never shown to the other as a
 * clean end, or a cut answer would look whole.
 */

import type { Socket } from 'node:net';
import { contain } from '../runtime/faults.ts';
import { giveOnread } from '../runtime/socket-internals.ts';
import { type SocketWriter, socketWriter } from '../runtime/socket-writer.ts';
import { Slabs } from '../wire/slabs.ts';
import { BULK_BUFFERS_MAX, BULK_READ_BYTES, READ_BYTES } from './limits.ts';

export type Side = 'a' | 'b';

/** Of all connections: thousands that are idle, or speak now and then, need no buffers of their own. */
const sharedBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** What was read there is written from here. Another takes its place when the kernel did not take all. */
let scratch = Buffer.allocUnsafeSlow(READ_BYTES);
/** For a direction whose reads fill the shared one, as long as they do. */
const bulk = new Slabs(BULK_READ_BYTES, BULK_BUFFERS_MAX);

/**
 * Resolves when both sockets are gone: true when each had ended in both directions. `onBytes` may look at
 * the bytes only during the call.
 */
export async function relay(
  a: Socket,
  b: Socket,
  onBytes: (from: Side, bytes: Buffer) => void,
): Promise<boolean> {
  const pumps = [
    new Pump(a, b, bytes => onBytes('a', bytes)),
    new Pump(b, a, bytes => onBytes('b', bytes)),
  ];
  const clean = await Promise.all([closed(a, b), closed(b, a)]);
  for (const pump of pumps) pump.close();
  return clean.every(Boolean);
}

class Pump {
  readonly #from: Socket;
  readonly #writer: SocketWriter;
  readonly #onBytes: (bytes: Buffer) => void;
  /** Of the next read. */
  #buffer: Buffer = sharedBuffer;

  constructor(from: Socket, to: Socket, onBytes: (bytes: Buffer) => void) {
    this.#from = from;
    this.#onBytes = onBytes;
    this.#writer = socketWriter(to, () => from.resume());
    giveOnread(from, {
      buffer: () => this.#buffer,
      callback: bytes => {
        this.#contain(() => this.#onRead(bytes));
        return true;
      },
    });
    from.on('data', (bytes: Buffer) =>
      this.#contain(() => {
        onBytes(bytes);
        if (!this.#writer.write(bytes)) from.pause();
      }),
    );
    // It may have been paused, and even so have ended, while the other side was being found.
    if (from.readableEnded) this.#writer.end();
    else from.on('end', () => this.#writer.end());
    from.resume();
  }

  close(): void {
    if (!this.#writer.pending) this.#read(sharedBuffer);
  }

  #onRead(length: number): void {
    const bytes = this.#buffer.subarray(0, length);
    this.#onBytes(bytes);
    const isShared = this.#buffer === sharedBuffer;
    // Bytes of a buffer of its own stay where they are until they are gone: nothing is read meanwhile.
    const gone = isShared ? this.#writeCopy(bytes) : this.#writer.write(bytes);
    if (!gone) this.#from.pause();
    else if (isShared && length === READ_BYTES) this.#read(bulk.take());
    else if (!isShared && length < READ_BYTES) this.#read(sharedBuffer);
  }

  #contain(work: () => void): void {
    contain(work, () => this.#from.resetAndDestroy());
  }

  #writeCopy(bytes: Buffer): boolean {
    bytes.copy(scratch);
    const gone = this.#writer.write(scratch.subarray(0, bytes.length));
    if (!gone) scratch = Buffer.allocUnsafeSlow(READ_BYTES);
    return gone;
  }

  #read(into: Buffer): void {
    if (this.#buffer !== sharedBuffer) bulk.recycle(this.#buffer);
    this.#buffer = into;
  }
}

function closed(socket: Socket, other: Socket): Promise<boolean> {
  return new Promise(resolve => {
    const onClose = (): void => {
      const clean = socket.readableEnded && socket.writableFinished;
      if (!clean) other.resetAndDestroy();
      resolve(clean);
    };
    // 'close' follows and says what there is to say.
    socket.on('error', () => undefined);
    if (socket.destroyed) onClose();
    else socket.once('close', onClose);
  });
}
