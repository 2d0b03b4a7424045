/** Ties a connection to a socket the way an owner does: one write an event-loop turn, none while it is full. */

import type { Socket } from 'node:net';
import {
  type ConnectionEnd,
  Http2Connection,
  type ServerHandler,
} from '../../../src/wire/http2/connection.ts';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import type { RequestHead } from '../../../src/wire/http2/heads.ts';
import { SLAB_BYTES, SPARE_SLABS_MAX } from '../../../src/wire/http2/limits.ts';
import type { Http2Stream, StreamHandler } from '../../../src/wire/http2/stream.ts';
import { Slabs } from '../../../src/wire/slabs.ts';

const slabs = new Slabs(SLAB_BYTES, SPARE_SLABS_MAX);

export class SocketWire implements ServerHandler {
  readonly connection: Http2Connection;
  readonly goaways: number[] = [];
  readonly ended: Promise<ConnectionEnd>;
  writes = 0;
  settled = false;
  whenStream: (stream: Http2Stream, head: RequestHead) => StreamHandler = () => {
    throw new Error('nobody opens streams here');
  };
  readonly #socket: Socket;
  #resolveEnded: (end: ConnectionEnd) => void = () => undefined;
  #isWriting = false;
  #isScheduled = false;

  constructor(socket: Socket, role: 'client' | 'server') {
    this.#socket = socket;
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve;
    });
    this.connection = new Http2Connection({ role, handler: this, slabs, now: () => Date.now() });
    socket.on('data', chunk => this.connection.receive(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.connection.destroy(H2.CANCEL, 'the socket closed'));
    this.connection.start();
  }

  onStream(stream: Http2Stream, head: RequestHead): StreamHandler {
    return this.whenStream(stream, head);
  }

  onOutput(): void {
    if (this.#isScheduled || this.#isWriting) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  onSettled(): void {
    this.settled = true;
  }

  onGoaway(code: number): void {
    this.goaways.push(code);
  }

  onEnded(end: ConnectionEnd): void {
    this.#resolveEnded(end);
    setImmediate(() => {
      if (!this.#isWriting) this.#socket.end();
    });
  }

  #flush(): void {
    this.#isScheduled = false;
    if (this.#isWriting || this.connection.outputBytes === 0 || this.#socket.destroyed) return;
    const output = this.connection.takeOutput();
    this.#isWriting = true;
    this.writes++;
    this.#socket.write(output, () => {
      slabs.recycle(output);
      this.#isWriting = false;
      this.#flush();
    });
  }
}
