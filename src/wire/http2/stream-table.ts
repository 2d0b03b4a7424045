/**
 * The streams of one connection and what our side does with them (RFC 9113 §5.1): open, answer, write,
 * end, reset, consume. What the peer does to them is in `stream-receiver.ts`.
 *
 * Closed streams are not remembered.
 */

import assert from 'node:assert';
import type { H2Code } from './error-codes.ts';
import { type FrameWriter, STREAM_ID_MAX } from './frames.ts';
import type { RequestHead, ResponseHead } from './heads.ts';
import { contentLength, requestList, responseList } from './heads.ts';
import type { HeaderField } from './hpack-decoder.ts';
import { EMPTY_TABLE_UPDATE, encodeFields } from './hpack-encoder.ts';
import {
  CONNECTION_UNREAD_BYTES_MAX,
  CONNECTION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_BEFORE_SETTINGS_MAX,
  STREAMS_MAX,
} from './limits.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { Sender } from './sender.ts';
import { DEFAULT_WINDOW_BYTES, type Role } from './settings.ts';
import type { StreamHandler, StreamLink } from './stream.ts';
import { afterLocalEnd, afterRemoteEnd, canReceive, canSend, LiveStream } from './stream.ts';

export class StreamTable implements StreamLink {
  readonly role: Role;
  /** Credit for the bytes of all streams. */
  readonly window = new ReceiveWindow(
    CONNECTION_WINDOW_BYTES,
    CONNECTION_UNREAD_BYTES_MAX,
    DEFAULT_WINDOW_BYTES,
  );
  readonly #frames: FrameWriter;
  readonly #sender: Sender;
  readonly #onEmpty: () => void;
  readonly #live = new Map<number, LiveStream>();
  #nextOwnId = 1;
  #lastPeerId = 0;
  #ownStreamsMax = STREAMS_BEFORE_SETTINGS_MAX;
  #isSettled = false;
  #hasSentHeaders = false;

  /** `onEmpty` is called when the last stream is gone. */
  constructor(role: Role, frames: FrameWriter, sender: Sender, onEmpty: () => void) {
    this.role = role;
    this.#frames = frames;
    this.#sender = sender;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#live.size;
  }

  /** The highest stream the peer has opened. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  get hasRoomForOwn(): boolean {
    return this.#live.size < this.#ownStreamsMax && this.#nextOwnId <= STREAM_ID_MAX;
  }

  get hasRoomForPeers(): boolean {
    return this.#live.size < STREAMS_MAX;
  }

  get(id: number): LiveStream | undefined {
    return this.#live.get(id);
  }

  all(): Iterable<LiveStream> {
    return this.#live.values();
  }

  /** RFC 9113 §5.1.1: clients open odd streams, in order; nobody opens even ones, since nobody pushes. */
  isIdle(id: number): boolean {
    return id % 2 === 0 || id > (this.role === 'server' ? this.#lastPeerId : this.#nextOwnId - 2);
  }

  /** With each SETTINGS of the peer; undefined: that one names no limit. */
  setOwnStreamsMax(streams: number | undefined): void {
    if (streams !== undefined) this.#ownStreamsMax = Math.min(streams, STREAMS_MAX);
    else if (!this.#isSettled) this.#ownStreamsMax = STREAMS_MAX;
    this.#isSettled = true;
  }

  /** Only while `hasRoomForOwn`. */
  open(head: RequestHead, handler: StreamHandler): LiveStream {
    const list = requestList(head);
    const stream = this.#add(this.#nextOwnId, head);
    this.#nextOwnId += 2;
    stream.handler = handler;
    this.#sendHeaders(stream, list, false);
    return stream;
  }

  /** The peer has used this id, whatever becomes of the stream. */
  seePeerId(id: number): void {
    this.#lastPeerId = id;
  }

  accept(id: number, head: RequestHead): LiveStream {
    const stream = this.#add(id, head);
    stream.bytesExpected = contentLength(head);
    return stream;
  }

  peerEnded(stream: LiveStream): void {
    this.#setState(stream, afterRemoteEnd(stream.state));
    stream.handler?.onEnd();
  }

  /** Over at once: the peer knows, or is being told, and the handler hears of it. */
  abort(stream: LiveStream, code: H2Code): void {
    this.#discard(stream);
    stream.handler?.onReset(code);
  }

  answer(stream: LiveStream, head: ResponseHead, endStream: boolean): void {
    if (stream.state === 'closed') return;
    assert(this.role === 'server' && stream.status === undefined, 'a second answer to a stream');
    assert(head.status >= 200, 'an answer that is not final');
    this.#sendHeaders(stream, responseList(head), endStream);
    stream.status = head.status;
    if (endStream) this.#localEnd(stream);
  }

  write(stream: LiveStream, data: Uint8Array | string, following: number): number {
    if (stream.state === 'closed') return 0;
    this.#assertSending(stream);
    return this.#sender.write(stream, data, following);
  }

  end(stream: LiveStream): void {
    if (stream.state === 'closed') return;
    this.#assertSending(stream);
    this.#frames.endStream(stream.id);
    this.#localEnd(stream);
  }

  reset(stream: LiveStream, code: H2Code): void {
    if (stream.state === 'closed') return;
    this.#frames.rstStream(stream.id, code);
    this.#discard(stream);
    // Nobody will read what the stream held: its share of the connection's window goes back now.
    this.replenish();
  }

  consumed(stream: LiveStream, bytes: number): void {
    // A stream that was reset has given everything back already.
    const counted = Math.min(bytes, stream.receiveWindow.unread);
    stream.receiveWindow.consumed(counted);
    this.window.consumed(counted);
    if (canReceive(stream.state)) {
      const increment = stream.receiveWindow.replenish();
      if (increment > 0) this.#frames.windowUpdate(stream.id, increment);
    }
    this.replenish();
  }

  /** Gives the peer the credit that is due on the connection. */
  replenish(): void {
    const increment = this.window.replenish();
    if (increment > 0) this.#frames.windowUpdate(0, increment);
  }

  #add(id: number, head: RequestHead): LiveStream {
    const receive = new ReceiveWindow(
      STREAM_WINDOW_BYTES,
      STREAM_WINDOW_BYTES,
      STREAM_WINDOW_BYTES,
    );
    const windows = { receive, send: this.#sender.initialWindow };
    const stream = new LiveStream(id, head, windows, this);
    this.#live.set(id, stream);
    return stream;
  }

  #sendHeaders(stream: LiveStream, list: readonly HeaderField[], endStream: boolean): void {
    const fields = encodeFields(list);
    const block = this.#hasSentHeaders ? fields : Buffer.concat([EMPTY_TABLE_UPDATE, fields]);
    this.#hasSentHeaders = true;
    this.#frames.headers(stream.id, block, endStream);
  }

  #assertSending(stream: LiveStream): void {
    assert(canSend(stream.state), 'a stream used after its end');
    assert(
      this.role === 'client' || stream.status !== undefined,
      'a stream used before its answer',
    );
  }

  #localEnd(stream: LiveStream): void {
    this.#sender.forget(stream);
    this.#setState(stream, afterLocalEnd(stream.state));
  }

  #discard(stream: LiveStream): void {
    this.window.consumed(stream.receiveWindow.unread);
    stream.receiveWindow.consumed(stream.receiveWindow.unread);
    this.#sender.forget(stream);
    this.#setState(stream, 'closed');
  }

  #setState(stream: LiveStream, state: LiveStream['state']): void {
    stream.state = state;
    if (state !== 'closed') return;
    this.#live.delete(stream.id);
    if (this.#live.size === 0) this.#onEmpty();
  }
}
