/**
 * What goes out on a socket, in order and one write at a time, and when its memory is free again.
 *
 * A proxy reuses its buffers, so it has to know whether the kernel has taken the bytes or still reads them.
 * Past the stream of the socket where that is possible, through it where not.
 */

import type { Socket } from 'node:net';
import { type HandleWrite, handleWrite } from './socket-internals.ts';

export interface SocketWriter {
  /**
   * False: not all of it is gone. The bytes must not change until `onDrained`, and whoever goes on
   * writing holds the memory for it.
   */
  write(data: Buffer | string): boolean;
  /** Something is not gone yet. */
  readonly pending: boolean;
  /** After what was written. */
  end(): void;
}

/** `onDrained` is called when all is gone after a `write` that was false. Errors are the socket's 'error'. */
export function socketWriter(socket: Socket, onDrained: () => void): SocketWriter {
  const write = handleWrite(socket, error => writer.onComplete(error));
  if (write === undefined) return new StreamWriter(socket, onDrained);
  const writer: HandleWriter = new HandleWriter(socket, write, onDrained);
  return writer;
}

class HandleWriter implements SocketWriter {
  readonly #socket: Socket;
  readonly #write: HandleWrite;
  readonly #onDrained: () => void;
  pending = false;
  #waiting: (Buffer | string)[] = [];
  #endWhenDrained = false;

  constructor(socket: Socket, write: HandleWrite, onDrained: () => void) {
    this.#socket = socket;
    this.#write = write;
    this.#onDrained = onDrained;
  }

  write(data: Buffer | string): boolean {
    if (!this.#socket.writable) return true;
    if (this.pending) {
      this.#waiting.push(data);
      return false;
    }
    const outcome = this.#write(data);
    if (outcome === 'done') return true;
    if (outcome !== 'pending') {
      this.#fail(outcome);
      return true;
    }
    this.pending = true;
    return false;
  }

  end(): void {
    if (this.pending) this.#endWhenDrained = true;
    else this.#socket.end();
  }

  onComplete(error: Error | undefined): void {
    this.pending = false;
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    let gone = true;
    for (const data of waiting) gone = this.write(data);
    if (!gone) return;
    if (this.#endWhenDrained) this.#socket.end();
    this.#onDrained();
  }

  #fail(error: Error): void {
    this.#waiting = [];
    this.#socket.destroy(error);
  }
}

class StreamWriter implements SocketWriter {
  readonly #socket: Socket;
  readonly #onDrained: () => void;
  pending = false;
  readonly #onWritten = (error?: Error | null): void => {
    if (error || !this.pending || this.#socket.writableLength > 0) return;
    this.pending = false;
    this.#onDrained();
  };

  constructor(socket: Socket, onDrained: () => void) {
    this.#socket = socket;
    this.#onDrained = onDrained;
  }

  write(data: Buffer | string): boolean {
    if (!this.#socket.writable) return true;
    this.#socket.write(data, 'latin1', this.#onWritten);
    this.pending = this.#socket.writableLength > 0;
    return !this.pending;
  }

  end(): void {
    this.#socket.end();
  }
}
