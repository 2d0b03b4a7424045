/**
 * A TLS socket that carries one HTTP/2 connection, on either end of a tunnel.
 *
 * The frames of one event-loop turn leave in one write: at the end of the turn when several streams are
 * busy, so that one TLS record and one system call serve them all. While the socket takes no more,
 * the output is left where it is, and backpressure reaches every stream. A peer that vanished answers no
 * ping, and the connection ends.
 */

import type { TLSSocket } from 'node:tls';
import type { Http2Connection } from '../../wire/http2/connection.ts';
import { H2 } from '../../wire/http2/error-codes.ts';
import { Slabs } from '../../wire/http2/slabs.ts';
import { END_TIMEOUT_MS, UNSENT_BYTES_MAX } from '../limits.ts';

/** Of the process: connections come and go, output buffers stay. */
export const slabs = new Slabs();

export class FrameSocket {
  readonly #socket: TLSSocket;
  #connection: Http2Connection | undefined;
  #flushScheduled = false;
  #unsentBytes = 0;
  #ended = false;
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#write();
  };

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  /** From here on what arrives goes to the connection. */
  start(connection: Http2Connection): void {
    this.#connection = connection;
    const socket = this.#socket;
    socket.on('data', (bytes: Buffer) => connection.receive(bytes));
    socket.on('error', () => undefined);
    socket.on('end', () => connection.destroy(H2.NO_ERROR, 'the peer ended the connection'));
    socket.on('close', () => connection.destroy(H2.NO_ERROR, 'the connection was lost'));
    connection.start();
  }

  onClose(listener: () => void): void {
    if (this.#socket.destroyed) listener();
    else this.#socket.once('close', listener);
  }

  /** The connection has output. */
  scheduleFlush(): void {
    if (this.#flushScheduled || this.#unsentBytes > UNSENT_BYTES_MAX) return;
    this.#flushScheduled = true;
    setImmediate(this.#flush);
  }

  /** The connection is over: its last output, then the end. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // Not within the call that ended it: its output may not be taken there.
    setImmediate(() => {
      this.#write();
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), END_TIMEOUT_MS).unref();
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #write(): void {
    const connection = this.#connection;
    if (connection === undefined || !connection.wantsWrite || !this.#socket.writable) return;
    const output = connection.takeOutput();
    this.#unsentBytes += output.length;
    this.#socket.write(output, () => {
      this.#unsentBytes -= output.length;
      slabs.recycle(output);
      // What there was no room for, and what its turn has come for.
      if (connection.wantsWrite) this.scheduleFlush();
    });
  }
}
