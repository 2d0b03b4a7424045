/**
 * One HTTP/2 session with another sidecar, and the CONNECT streams on it (the HBONE shape).
 *
 * States: open → retired (no new streams, the open ones finish) → closed. A stream counts as reaching
 * the application only when the other side has answered 200; until then nothing was sent on it.
 */

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { abortStream } from '../../runtime/relay.ts';
import type { AcceptedPeer } from '../../trust-federation/verify.ts';
import {
  CONNECT_ANSWER_TIMEOUT_MS,
  HEADER_LIST_BYTES_MAX,
  SESSION_PING_MS,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
} from '../limits.ts';
import { writingBytesOnly } from './bytes-only.ts';

export type StreamOutcome =
  | { readonly kind: 'open'; readonly stream: ClientHttp2Stream }
  | { readonly kind: 'failed'; readonly cause: StreamFailure; readonly reason: string };

export type StreamFailure =
  /** The other sidecar said why not. */
  | 'answered'
  /** The session closed or refused the stream before an answer. */
  | 'lost'
  | 'timeout'
  /** The caller's signal. */
  | 'aborted';

export class TunnelSession {
  readonly peer: AcceptedPeer;
  readonly #session: ClientHttp2Session;
  #retired = false;

  constructor(socket: TLSSocket, peer: AcceptedPeer) {
    this.peer = peer;
    this.#session = connect('https://tunnel', {
      createConnection: () => socket,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: HEADER_LIST_BYTES_MAX,
      },
    });
    this.#session.once('connect', () => this.#session.setLocalWindowSize(SESSION_WINDOW_BYTES));
    // Every stream on it hears of the failure itself.
    this.#session.on('error', () => undefined);
    const ping = setInterval(() => this.#ping(), SESSION_PING_MS);
    ping.unref();
    this.#session.once('close', () => clearInterval(ping));
  }

  get usable(): boolean {
    return !this.#retired && !this.#session.closed && !this.#session.destroyed;
  }

  onClose(listener: () => void): void {
    this.#session.once('close', listener);
  }

  /** No new streams; closes by itself after the last open one. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#session.close();
  }

  destroy(): void {
    this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }

  /** Resolves once the other side has answered the CONNECT. Never rejects. */
  open(authority: string, signal: AbortSignal): Promise<StreamOutcome> {
    if (!this.usable) {
      return Promise.resolve({ kind: 'failed', cause: 'lost', reason: 'the session is closing' });
    }
    const stream = this.#session.request(
      { ':method': 'CONNECT', ':authority': authority },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    return new Promise(resolve => {
      const finish = (outcome: StreamOutcome): void => {
        clearTimeout(deadline);
        signal.removeEventListener('abort', onAbort);
        stream.off('close', onClose);
        if (outcome.kind === 'failed') abortStream(stream);
        resolve(outcome);
      };
      const fail = (cause: StreamFailure, reason: string): void =>
        finish({ kind: 'failed', cause, reason });
      const onAbort = (): void => fail('aborted', 'the caller went away');
      const onClose = (): void => fail('lost', `the stream was closed (code ${stream.rstCode})`);
      const deadline = setTimeout(() => {
        this.retire();
        fail('timeout', `no answer within ${CONNECT_ANSWER_TIMEOUT_MS} ms`);
      }, CONNECT_ANSWER_TIMEOUT_MS);
      stream.once('close', onClose);
      stream.once('response', headers => {
        const status = headers[':status'];
        const error = headers['x-isthmus-error'];
        if (status === 200) finish({ kind: 'open', stream: writingBytesOnly(stream) });
        else fail('answered', String(error ?? `status ${String(status)}`));
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** A peer that vanished answers nothing, not even a reset. */
  #ping(): void {
    if (this.#session.destroyed) return;
    let answered = false;
    const sent = this.#session.ping(() => {
      answered = true;
    });
    if (!sent) return;
    const judge = (): void => {
      if (!answered) this.destroy();
    };
    // After the poll phase: a process that was stopped and goes on reads the answer that waits for it.
    setTimeout(() => setImmediate(judge), SESSION_PING_MS - 1).unref();
  }
}
