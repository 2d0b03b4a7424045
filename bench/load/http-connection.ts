/**
 * One keep-alive connection that sends the same request again and again, one at a time. Cheap beside what
 * it measures: reads into one buffer of its own and parses no more than status and length.
 */

import { connect, type Socket } from 'node:net';
import { formatAddress } from '../../src/mesh/address.ts';
import { messageOf } from '../../src/mesh/errors.ts';
import { parseResponseHead } from './response-head.ts';
import type { HttpTarget } from './target.ts';

const READ_BUFFER_BYTES = 64 * 1024;

/** Callbacks are set by whoever drives it. */
export class HttpConnection {
  onAnswer: (request: number, atMs: number) => void = () => undefined;
  onError: (kind: string) => void = () => undefined;
  readonly #socket: Socket;
  readonly #bytes: Buffer;
  #request = 0;
  #head = '';
  #bodyLeft = 0;

  static open(target: HttpTarget): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const connection: HttpConnection = new HttpConnection(
        target,
        () => resolve(connection),
        reject,
      );
    });
  }

  private constructor(target: HttpTarget, onOpen: () => void, onRefused: (error: Error) => void) {
    const { path, hostHeader } = target;
    this.#bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${hostHeader}\r\n\r\n`);
    const buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);
    const read = (count: number): boolean => this.#read(buffer, count);
    this.#socket = connect({
      ...target.address,
      noDelay: true,
      onread: { buffer, callback: read },
    });
    this.#socket.once('connect', onOpen);
    this.#socket.on('error', error => {
      onRefused(new Error(`${formatAddress(target.address)}: ${error.message}`));
      this.onError('socket');
    });
    this.#socket.once('end', () => this.onError('closed'));
  }

  send(request: number): void {
    this.#request = request;
    this.#socket.write(this.#bytes);
  }

  destroy(): void {
    this.onError = () => undefined;
    this.#socket.destroy();
  }

  #read(buffer: Buffer, count: number): boolean {
    if (this.#bodyLeft > 0) this.#bodyLeft -= count;
    else if (!this.#readHead(buffer.toString('latin1', 0, count))) return true;
    if (this.#bodyLeft === 0) this.onAnswer(this.#request, performance.now());
    else if (this.#bodyLeft < 0) this.onError('answers longer than they said');
    return true;
  }

  /** True once the head is whole; `#bodyLeft` is then what is still to come of the body. */
  #readHead(text: string): boolean {
    this.#head += text;
    try {
      const head = parseResponseHead(this.#head);
      if (head === undefined) return false;
      if (head.status < 200 || head.status > 299) this.onError(`status ${head.status}`);
      this.#bodyLeft = head.bytes + head.bodyBytes - this.#head.length;
      this.#head = '';
      return true;
    } catch (error) {
      this.onError(messageOf(error));
      return false;
    }
  }
}
