/**
 * A TLS socket that carries one HTTP/2 connection, on either end of a tunnel.
 *
 * Frames are gathered for an event-loop turn, and for one turn more while they do not fill a TLS record, so
 * that one record and one system call serve all streams. While the socket has not sent the last write,
 * output is left where it is, and backpressure reaches every stream.
 */

import type { TLSSocket } from 'node:tls';
import { afterFault } from '../../runtime/faults.ts';
import { giveOnread } from '../../runtime/socket-internals.ts';
import { type SocketWriter, socketWriter } from '../../runtime/socket-writer.ts';
import type { Http2Connection } from '../../wire/http2/connection.ts';
import { H2 } from '../../wire/http2/error-codes.ts';
import { SLAB_BYTES, SPARE_SLABS_MAX } from '../../wire/http2/limits.ts';
import { Slabs } from '../../wire/slabs.ts';
import { END_TIMEOUT_MS, RECORD_BYTES } from '../limits.ts';

/** Of the process: connections come and go, output buffers stay. */
export const slabs = new Slabs(SLAB_BYTES, SPARE_SLABS_MAX);

/** Of all TLS sockets: what is read is dealt with before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(RECORD_BYTES);

export class FrameSocket {
  readonly #socket: TLSSocket;
  readonly #writer: SocketWriter;
  #connection: Http2Connection | undefined;
  #flushScheduled = false;
  /** Being sent. */
  #output: Buffer | undefined;
  #ended = false;
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#write();
  };
  readonly #flushSoon = (): void => {
    if ((this.#connection?.outputBytes ?? 0) < RECORD_BYTES) setImmediate(this.#flush);
    else this.#flush();
  };

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.#writer = socketWriter(socket, () => this.#onDrained());
  }

  /** From here on what arrives goes to the connection. */
  start(connection: Http2Connection): void {
    this.#connection = connection;
    const socket = this.#socket;
    const receive = (bytes: Buffer): void => {
      try {
        connection.receive(bytes);
      } catch (error) {
        // It has ended itself already.
        afterFault(error, () => connection.destroy(H2.INTERNAL_ERROR, 'a handler failed'));
      }
    };
    giveOnread(socket, {
      buffer: readBuffer,
      callback: bytes => {
        receive(readBuffer.subarray(0, bytes));
        return true;
      },
    });
    socket.on('data', receive);
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
    if (this.#flushScheduled || this.#writer.pending) return;
    this.#flushScheduled = true;
    setImmediate(this.#flushSoon);
  }

  /** The connection is over: its last output, then the end. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // Not within the call that ended it: its output may not be taken there.
    setImmediate(() => {
      this.#write();
      setTimeout(() => this.#socket.destroy(), END_TIMEOUT_MS).unref();
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #write(): void {
    if (this.#writer.pending) return;
    const connection = this.#connection;
    if (connection !== undefined && connection.outputBytes > 0 && this.#socket.writable) {
      const output = connection.takeOutput();
      if (this.#writer.write(output)) slabs.recycle(output);
      else this.#output = output;
    }
    if (this.#ended) this.#writer.end();
  }

  #onDrained(): void {
    if (this.#output !== undefined) slabs.recycle(this.#output);
    this.#output = undefined;
    // What there was no room for, and what has come since.
    this.#write();
  }
}
