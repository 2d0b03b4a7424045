/**
 * One stream of a connection: its state (RFC 9113 §5.1), its windows, and what the application does with it.
 *
 * There is no send buffer here: `write` accepts what the windows and the output of this turn have room
 * for, and the rest stays where it is until `onWritable`. So backpressure reaches the source, and a byte
 * is copied once.
 */

import type { H2Code } from './error-codes.ts';
import type { RequestHead, ResponseHead } from './heads.ts';
import type { ReceiveWindow } from './receive-window.ts';

/** What the application is told. Calls come from within `receive`, `takeOutput` and `destroy` alone. */
export interface StreamHandler {
  /** Of a stream we opened: the final answer. */
  onHeaders?(head: ResponseHead): void;
  /** Valid only during the call. Each byte is given back by `consumed`, or the sender stops. */
  onData(bytes: Buffer): void;
  /** The peer has sent everything. */
  onEnd(): void;
  /**
   * The stream is over, in both directions. REFUSED_STREAM: the peer has done nothing with it, so the
   * same may be tried elsewhere (RFC 9113 §8.7). Not called for the application's own `reset`.
   */
  onReset(code: H2Code): void;
  /** After a `write` that was not accepted whole: there is room again. */
  onWritable(): void;
}

/** The application's side of a stream, which has to leave windows and states alone. */
export interface Http2Stream {
  readonly id: number;
  readonly state: StreamState;
  /** The answer, once, on a stream the peer opened. */
  sendHeaders(head: ResponseHead, endStream?: boolean): void;
  /**
   * Bytes, or latin1 text; `following`: how many more belong to it and are written next. How many bytes
   * were accepted: maybe 0, and 0 once the stream is closed.
   */
  write(data: Uint8Array | string, following?: number): number;
  /** After the last byte was accepted. */
  end(): void;
  /** Ends both directions at once. */
  reset(code: H2Code): void;
  /** The application is done with this many bytes of `onData`. Still counts after the peer's end. */
  consumed(bytes: number): void;
}

export type StreamState = 'open' | 'half-closed-local' | 'half-closed-remote' | 'closed';

export function afterLocalEnd(state: StreamState): StreamState {
  return state === 'open' ? 'half-closed-local' : 'closed';
}

export function afterRemoteEnd(state: StreamState): StreamState {
  return state === 'open' ? 'half-closed-remote' : 'closed';
}

export function canSend(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed-remote';
}

export function canReceive(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed-local';
}

/** The connection, as its streams reach it. */
export interface StreamLink {
  answer(stream: LiveStream, head: ResponseHead, endStream: boolean): void;
  write(stream: LiveStream, data: Uint8Array | string, following: number): number;
  end(stream: LiveStream): void;
  reset(stream: LiveStream, code: H2Code): void;
  consumed(stream: LiveStream, bytes: number): void;
}

export class LiveStream implements Http2Stream {
  readonly id: number;
  readonly isConnect: boolean;
  readonly receiveWindow: ReceiveWindow;
  readonly #link: StreamLink;
  state: StreamState = 'open';
  handler: StreamHandler | undefined;
  /** Of the final answer, sent or received. */
  status: number | undefined;
  /** DATA bytes that the request's content-length still announces. */
  bytesExpected: number | undefined;

  // The sender's notes.
  /** Negative after a peer made its initial window smaller (RFC 9113 §6.9.2). */
  sendWindow: number;
  /** DATA bytes in the output of that turn. */
  outputBytes = 0;
  outputTurn = 0;

  constructor(
    id: number,
    request: RequestHead,
    windows: { readonly receive: ReceiveWindow; readonly send: number },
    link: StreamLink,
  ) {
    this.id = id;
    this.isConnect = request.method === 'CONNECT';
    this.receiveWindow = windows.receive;
    this.sendWindow = windows.send;
    this.#link = link;
  }

  /** RFC 9113 §8.5: from the 2xx on nothing but DATA is left to send. */
  get isTunnel(): boolean {
    return this.isConnect && this.status !== undefined && this.status < 300;
  }

  sendHeaders(head: ResponseHead, endStream = false): void {
    this.#link.answer(this, head, endStream);
  }

  write(data: Uint8Array | string, following = 0): number {
    return this.#link.write(this, data, following);
  }

  end(): void {
    this.#link.end(this);
  }

  reset(code: H2Code): void {
    this.#link.reset(this, code);
  }

  consumed(bytes: number): void {
    this.#link.consumed(this, bytes);
  }
}
