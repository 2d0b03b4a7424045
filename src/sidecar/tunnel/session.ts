/**
 * One HTTP/2 connection to another sidecar, and the CONNECT streams on it (the HBONE shape).
 *
 * States: open → retired (no new streams, the open ones finish) → closed. A stream counts as reaching
 * the application only when the other side has answered 200; until then nothing is sent on it. From then
 * on it is worth keeping: it carries one HTTP/1.1 exchange after another, and waits here in between.
 */

import type { TLSSocket } from 'node:tls';
import type { AcceptedPeer } from '../../trust-federation/peers/verify.ts';
import { Http2Connection } from '../../wire/http2/connection.ts';
import type { ChannelOwner } from '../bytes/channel.ts';
import { endQuietly } from '../bytes/end-quietly.ts';
import { StreamChannel } from '../bytes/stream-channel.ts';
import {
  CONNECT_ANSWER_TIMEOUT_MS,
  IDLE_STREAM_TIMEOUT_MS,
  IDLE_STREAMS_MAX,
  SESSION_IDLE_MS,
  SESSION_PING_MS,
  SESSION_SILENT_TICKS,
} from '../limits.ts';
import { FrameSocket, slabs } from './frame-socket.ts';

export type StreamOutcome =
  | { readonly kind: 'open'; readonly stream: TunnelStream }
  | { readonly kind: 'failed'; readonly cause: StreamFailure; readonly reason: string };

export type StreamFailure =
  /** The other sidecar said why not. */
  | 'answered'
  /** It did, and that is that we may not call the service. */
  | 'forbidden'
  /** The session closed or refused the stream before an answer. */
  | 'lost'
  | 'timeout'
  /** The caller's signal. */
  | 'aborted';

/** A stream that was answered 200, to be given back. While it waits it is the owner of its channel. */
export class TunnelStream implements ChannelOwner {
  readonly channel: StreamChannel;
  readonly session: TunnelSession;
  readonly authority: string;
  idleSinceMs = 0;

  constructor(channel: StreamChannel, session: TunnelSession, authority: string) {
    this.channel = channel;
    this.session = session;
    this.authority = authority;
  }

  // An end, a break or a byte that nobody asked for makes it useless.

  onData(): void {
    this.session.drop(this);
    this.channel.abort();
  }

  onEnd(): void {
    this.session.drop(this);
    endQuietly(this.channel);
  }

  onWritable(): void {}

  onBroken(): void {
    this.session.drop(this);
  }
}

export class TunnelSession {
  readonly peer: AcceptedPeer;
  readonly #now: () => number;
  readonly #frames: FrameSocket;
  readonly #connection: Http2Connection;
  /** The one used last is used next, so that those too many grow old. */
  readonly #idle = new Map<string, TunnelStream[]>();
  readonly #socket: TLSSocket;
  #bytesRead = 0;
  #heardMs: number;
  /** In a row, without a byte while a ping waits. Counted, since a process that stood still had no ticks. */
  #silentTicks = 0;
  #usedMs: number;
  #retired = false;
  #closed = false;
  #isSilent = false;

  constructor(socket: TLSSocket, peer: AcceptedPeer, now: () => number) {
    this.#socket = socket;
    this.#heardMs = now();
    this.#usedMs = now();
    this.peer = peer;
    this.#now = now;
    this.#frames = new FrameSocket(socket);
    this.#connection = new Http2Connection({
      role: 'client',
      slabs,
      now,
      handler: {
        onOutput: () => this.#frames.scheduleFlush(),
        onSettled: () => undefined,
        onGoaway: () => this.retire(),
        onEnded: () => this.#onEnded(),
      },
    });
    this.#frames.start(this.#connection);
    const ping = setInterval(() => this.#checkLiveness(), SESSION_PING_MS);
    ping.unref();
    this.#frames.onClose(() => clearInterval(ping));
  }

  /** When something last came back on it. */
  get heardMs(): number {
    return this.#heardMs;
  }

  get usable(): boolean {
    return !this.#retired && !this.#closed;
  }

  /** The connection itself is gone: a stream that broke off with it says nothing of the other end. */
  get isLost(): boolean {
    return this.#connection.hasEnded;
  }

  /** It was closed because a ping went unanswered. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  onClose(listener: () => void): void {
    this.#frames.onClose(listener);
  }

  /** No new exchanges; closes by itself after the last open stream. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    for (const waiting of this.#idle.values())
      for (const { channel } of waiting) endQuietly(channel);
    this.#idle.clear();
    this.#connection.goaway();
  }

  destroy(): void {
    this.#frames.destroy();
  }

  /** A stream that waits for its next exchange. */
  takeIdle(authority: string): TunnelStream | undefined {
    const waiting = this.#idle.get(authority);
    for (;;) {
      const stream = waiting?.pop();
      if (stream === undefined || !stream.channel.closed) return stream;
    }
  }

  /** After an exchange that left the stream clean. */
  giveBack(stream: TunnelStream): void {
    const { channel, authority } = stream;
    const waiting = this.#idle.get(authority) ?? [];
    if (!this.usable || channel.closed || waiting.length >= IDLE_STREAMS_MAX) {
      endQuietly(stream.channel);
      return;
    }
    channel.attach(stream);
    stream.idleSinceMs = this.#now();
    if (waiting.push(stream) === 1) this.#idle.set(authority, waiting);
  }

  /** It waits no longer. */
  drop(stream: TunnelStream): void {
    const waiting = this.#idle.get(stream.authority);
    const at = waiting?.indexOf(stream) ?? -1;
    if (at >= 0) waiting?.splice(at, 1);
  }

  /** Resolves once the other side has answered the CONNECT. Never rejects. */
  open(authority: string, signal: AbortSignal): Promise<StreamOutcome> {
    const channel = new StreamChannel();
    const stream = this.usable
      ? this.#connection.openStream({ method: 'CONNECT', authority, fields: [] }, channel)
      : undefined;
    if (stream === undefined) {
      const reason = this.usable ? 'it takes no more streams' : 'the session is closing';
      return Promise.resolve({ kind: 'failed', cause: 'lost', reason });
    }
    channel.open(stream);
    return new Promise(resolve => {
      const finish = (outcome: StreamOutcome): void => {
        clearTimeout(deadline);
        signal.removeEventListener('abort', onAbort);
        if (outcome.kind === 'failed') channel.abort();
        resolve(outcome);
      };
      const fail = (cause: StreamFailure, reason: string): void =>
        finish({ kind: 'failed', cause, reason });
      const onAbort = (): void => fail('aborted', 'the caller went away');
      const deadline = setTimeout(() => {
        this.retire();
        fail('timeout', `no answer within ${CONNECT_ANSWER_TIMEOUT_MS} ms`);
      }, CONNECT_ANSWER_TIMEOUT_MS);
      channel.onceAnswered(head => {
        if (head === undefined) fail('lost', 'the stream was closed before an answer');
        else if (head.status === 200) {
          finish({ kind: 'open', stream: new TunnelStream(channel, this, authority) });
        } else {
          const error = head.fields.find(([name]) => name === 'x-isthmus-error')?.[1];
          const cause = head.status === 403 ? 'forbidden' : 'answered';
          fail(cause, error ?? `status ${head.status}`);
        }
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #onEnded(): void {
    this.#closed = true;
    this.#idle.clear();
    this.#frames.end();
  }

  /** Also when the streams that wait are looked through: nothing else happens to them by itself. */
  #checkLiveness(): void {
    this.#listen();
    if (this.#connection.pingSentMs === undefined) {
      this.#heard();
      this.#connection.ping();
    } else if (++this.#silentTicks >= SESSION_SILENT_TICKS) {
      const judge = (): void => {
        this.#listen();
        if (this.#silentTicks === 0) return;
        this.#isSilent = true;
        this.destroy();
      };
      // After the poll phase: a process that was stopped and goes on reads the answer that waits for it.
      setImmediate(() => setImmediate(judge));
    }
    if (this.#connection.streams > 0) this.#usedMs = this.#now();
    else if (this.#now() - this.#usedMs > SESSION_IDLE_MS) this.retire();
    this.#endOldStreams();
  }

  /** Any byte is a sign of life: the answer to a ping may be behind megabytes on a slow way. */
  #listen(): void {
    const { bytesRead } = this.#socket;
    if (bytesRead === this.#bytesRead) return;
    this.#bytesRead = bytesRead;
    this.#heard();
  }

  #heard(): void {
    this.#heardMs = this.#now();
    this.#silentTicks = 0;
  }

  #endOldStreams(): void {
    const oldestMs = this.#now() - IDLE_STREAM_TIMEOUT_MS;
    for (const [authority, waiting] of this.#idle) {
      while (waiting[0] !== undefined && waiting[0].idleSinceMs < oldestMs) {
        const oldest = waiting.shift();
        if (oldest !== undefined) endQuietly(oldest.channel);
      }
      if (waiting.length === 0) this.#idle.delete(authority);
    }
  }
}
