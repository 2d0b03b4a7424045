/**
 * One HTTP/2 connection between two sidecars (RFC 9113), without I/O: bytes in, calls and bytes out.
 *
 * Everything that calls produce collects in one buffer until `takeOutput`, so that the owner can send the
 * frames of whole event-loop turns in one write. The owner keeps the socket: it hands what arrives to
 * `receive`, schedules a flush at `onOutput`, and takes no output while the socket is full; then writes
 * are no longer accepted and backpressure reaches every stream.
 *
 * Life: open → draining (no new streams, the others finish) → ended (only the output is left to send).
 */

import type { Slabs } from '../slabs.ts';
import { Budget } from './budget.ts';
import { H2, type H2Code, Http2Violation } from './error-codes.ts';
import { FrameDecoder, type FrameSink } from './frame-decoder.ts';
import { protocol } from './frame-rules.ts';
import { FrameWriter, STREAM_ID_MAX } from './frames.ts';
import type { RequestHead } from './heads.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import {
  GOAWAY_REASON_BYTES_MAX,
  IDLE_FRAMES_BURST,
  IDLE_FRAMES_PER_SECOND,
  OUTPUT_BYTES_MAX,
  RESETS_BURST,
  RESETS_PER_SECOND,
  SETTINGS_COST,
} from './limits.ts';
import { Sender } from './sender.ts';
import { ownSettings, parseSettings } from './settings.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';
import { StreamReceiver } from './stream-receiver.ts';
import { StreamTable } from './stream-table.ts';

export interface ConnectionHandler {
  /** There is output again. Schedules a flush, and must not take the output within the call. */
  onOutput(): void;
  /** The peer's SETTINGS are in force: there may be room for more streams. */
  onSettled(): void;
  /** The peer takes no more streams; `reason` is for logs. */
  onGoaway(code: H2Code, reason: string): void;
  /** Once, after the streams' own calls: send what output there is, then end the socket. */
  onEnded(end: ConnectionEnd): void;
}

export interface ServerHandler extends ConnectionHandler {
  /** The peer asks for something: answer now or later. */
  onStream(stream: Http2Stream, head: RequestHead): StreamHandler;
}

export type ConnectionEnd =
  /** No streams are left, and there will be none. */
  | { readonly kind: 'drained' }
  /** The peer broke a rule or a limit, or the owner called `destroy`. */
  | { readonly kind: 'failed'; readonly code: H2Code; readonly reason: string };

export type Http2ConnectionOptions = {
  readonly slabs: Slabs;
  /** Milliseconds; only differences matter. */
  readonly now: () => number;
} & (
  | { readonly role: 'client'; readonly handler: ConnectionHandler }
  | { readonly role: 'server'; readonly handler: ServerHandler }
);

type Phase = 'open' | 'draining' | 'ended';

const LIVENESS_PING = Buffer.from('liveness', 'latin1');
const SHUTDOWN_PING = Buffer.from('shutdown', 'latin1');

export class Http2Connection {
  readonly #options: Http2ConnectionOptions;
  readonly #frames: FrameWriter;
  readonly #sender: Sender;
  readonly #table: StreamTable;
  readonly #receiver: StreamReceiver;
  readonly #decoder: FrameDecoder;
  readonly #hpack = new HpackDecoder();
  #phase: Phase = 'open';
  #pingSentMs: number | undefined;
  /** Streams of ours beyond this the peer has not taken (RFC 9113 §6.8). */
  #peerLastStreamId = STREAM_ID_MAX;
  /** A server's drain: its final word on which streams it took is out. */
  #saidLastStreamId = false;

  constructor(options: Http2ConnectionOptions) {
    this.#options = options;
    const { role, slabs, now, handler } = options;
    const idleFrames = new Budget(IDLE_FRAMES_BURST, IDLE_FRAMES_PER_SECOND, now);
    this.#frames = new FrameWriter(slabs, () => handler.onOutput());
    this.#sender = new Sender(this.#frames, idleFrames);
    this.#table = new StreamTable(role, this.#frames, this.#sender, () => this.#endIfDrained());
    this.#receiver = new StreamReceiver({
      table: this.#table,
      frames: this.#frames,
      sender: this.#sender,
      idleFrames,
      resets: new Budget(RESETS_BURST, RESETS_PER_SECOND, now),
      onStream:
        options.role === 'server'
          ? (stream, head) => options.handler.onStream(stream, head)
          : undefined,
    });
    this.#decoder = new FrameDecoder(this.#sink(), role === 'server' ? 'client' : 'server');
  }

  /** Our preface (RFC 9113 §3.4). Before anything else. */
  start(): void {
    const { role } = this.#options;
    if (role === 'client') this.#frames.preface();
    this.#frames.settings(ownSettings(role));
    this.#table.replenish();
  }

  /** Waiting to be taken. */
  get outputBytes(): number {
    return this.#frames.length;
  }

  get streams(): number {
    return this.#table.size;
  }

  /** Over, for all its streams together; they are told after this has become true. */
  get hasEnded(): boolean {
    return this.#phase === 'ended';
  }

  get canOpen(): boolean {
    return this.#options.role === 'client' && this.#phase === 'open' && this.#table.hasRoomForOwn;
  }

  /** When the ping was sent that is still unanswered. */
  get pingSentMs(): number | undefined {
    return this.#pingSentMs;
  }

  /** What has arrived, in whatever pieces. Rethrows what a handler throws, and then is ended. */
  receive(bytes: Buffer): void {
    if (this.#phase === 'ended') return;
    try {
      this.#decoder.decode(bytes);
      this.#table.replenish();
      if (this.#frames.length > OUTPUT_BYTES_MAX) {
        throw new Http2Violation(H2.ENHANCE_YOUR_CALM, 'found a peer that asks and does not read');
      }
    } catch (error) {
      const isPeers = error instanceof Http2Violation;
      this.destroy(
        isPeers ? error.http2Code : H2.INTERNAL_ERROR,
        isPeers ? error.message : 'a handler failed',
      );
      if (!isPeers) throw error;
    }
  }

  /** All output since the last call. The caller owns it, and may give it to `Slabs.recycle` when written. */
  takeOutput(): Buffer {
    const output = this.#frames.take();
    this.#sender.outputTaken();
    return output;
  }

  /** Undefined unless `canOpen`. DATA may follow at once; a tunnel is there when the answer is 2xx. */
  openStream(head: RequestHead, handler: StreamHandler): Http2Stream | undefined {
    return this.canOpen ? this.#table.open(head, handler) : undefined;
  }

  /** Asks the peer for a sign of life, unless it was asked already. */
  ping(): void {
    if (this.#phase === 'ended' || this.#pingSentMs !== undefined) return;
    this.#pingSentMs = this.#options.now();
    this.#frames.ping(LIVENESS_PING, false);
  }

  /**
   * Takes and opens no new streams; ends when the last one has. A server first says that it is about to,
   * and names the last stream it took a round trip later, so that no request in flight is lost
   * (RFC 9113 §6.8).
   */
  goaway(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    if (this.#options.role === 'server') {
      this.#frames.goaway(STREAM_ID_MAX, H2.NO_ERROR, '');
      this.#frames.ping(SHUTDOWN_PING, false);
    } else {
      this.#frames.goaway(0, H2.NO_ERROR, '');
      this.#endIfDrained();
    }
  }

  /** Ends now: every stream hears `onReset(code)`, the peer a GOAWAY if the output still reaches it. */
  destroy(code: H2Code, reason: string): void {
    if (this.#phase === 'ended') return;
    this.#end();
    this.#frames.goaway(this.#table.lastPeerId, code, reason);
    for (const stream of [...this.#table.all()]) this.#table.abort(stream, code);
    this.#options.handler.onEnded({ kind: 'failed', code, reason });
  }

  #endIfDrained(): void {
    const mayEnd = this.#options.role === 'client' || this.#saidLastStreamId;
    if (this.#phase !== 'draining' || !mayEnd || this.#table.size > 0) return;
    this.#end();
    this.#options.handler.onEnded({ kind: 'drained' });
  }

  #end(): void {
    this.#phase = 'ended';
    this.#decoder.stop();
  }

  #sink(): FrameSink {
    const receiver = this.#receiver;
    return {
      data: (id, bytes, padding, endStream) => receiver.data(id, bytes, padding, endStream),
      headers: (id, block, endStream) => receiver.headers(id, this.#hpack.decode(block), endStream),
      rstStream: (id, code) => receiver.rstStream(id, code),
      windowUpdate: (id, increment) => receiver.windowUpdate(id, increment),
      ignored: () => receiver.countIdleFrame(1),
      settingsAck: () => receiver.countIdleFrame(1),
      settings: payload => this.#onSettings(payload),
      ping: (payload, isAck) => this.#onPing(payload, isAck),
      goaway: (lastStreamId, code, debug) => this.#onGoaway(lastStreamId, code, debug),
    };
  }

  #onSettings(payload: Buffer): void {
    this.#receiver.countIdleFrame(SETTINGS_COST);
    const { role, handler } = this.#options;
    const settings = parseSettings(payload, role === 'server' ? 'client' : 'server');
    // Before any DATA that the new windows let out: a sender may count by the old ones until it sees this.
    this.#frames.settingsAck();
    this.#table.setOwnStreamsMax(settings.streamsMax);
    if (settings.initialWindowBytes !== undefined) {
      this.#sender.setInitialWindow(settings.initialWindowBytes, this.#table.all());
    }
    handler.onSettled();
  }

  #onPing(payload: Buffer, isAck: boolean): void {
    this.#receiver.countIdleFrame(1);
    if (!isAck) this.#frames.ping(payload, true);
    else if (payload.equals(LIVENESS_PING)) this.#pingSentMs = undefined;
    else if (payload.equals(SHUTDOWN_PING) && this.#phase === 'draining') this.#sayLastStreamId();
  }

  #sayLastStreamId(): void {
    if (this.#saidLastStreamId) return;
    this.#saidLastStreamId = true;
    this.#receiver.refuseNew();
    this.#frames.goaway(this.#table.lastPeerId, H2.NO_ERROR, '');
    this.#endIfDrained();
  }

  #onGoaway(lastStreamId: number, code: H2Code, debug: Buffer): void {
    this.#receiver.countIdleFrame(1);
    const { role, handler } = this.#options;
    if (lastStreamId > this.#peerLastStreamId) throw protocol('a GOAWAY that takes back another');
    this.#peerLastStreamId = lastStreamId;
    handler.onGoaway(code, debug.toString('latin1', 0, GOAWAY_REASON_BYTES_MAX));
    // A client's GOAWAY forbids pushes, which there are none of.
    if (role === 'server') return;
    if (this.#phase === 'open') this.#phase = 'draining';
    for (const stream of [...this.#table.all()]) {
      if (stream.id > lastStreamId) this.#table.abort(stream, H2.REFUSED_STREAM);
    }
    this.#endIfDrained();
  }
}
