/**
 * HTTP/2 frames out of chunks that end anywhere (RFC 9113 §4 and §6).
 *
 * DATA is handed on as it arrives, as views of the chunk: never copied, never held back. The payload of
 * any other frame is held only when a chunk ends inside it. Sizes, stream ids, padding and the order of
 * header block frames are checked here, so a sink sees only frames that are right by themselves.
 */

import type { H2Code } from './error-codes.ts';
import { checkFrameHeader, frameSize, protocol } from './frame-rules.ts';
import { CLIENT_PREFACE, FLAG, FRAME, FRAME_HEADER_BYTES, STREAM_ID_MAX } from './frames.ts';
import { HeaderBlock } from './header-block.ts';

export interface FrameSink {
  /**
   * A piece of a DATA frame. `bytes` is valid only during the call; `padding` counts towards the
   * windows like them (RFC 9113 §6.1); `endStream` comes with the last piece.
   */
  data(streamId: number, bytes: Buffer, padding: number, endStream: boolean): void;
  headers(streamId: number, block: Buffer, endStream: boolean): void;
  rstStream(streamId: number, code: H2Code): void;
  settings(payload: Buffer): void;
  settingsAck(): void;
  ping(payload: Buffer, isAck: boolean): void;
  goaway(lastStreamId: number, code: H2Code, debug: Buffer): void;
  /** Stream 0 is the connection. */
  windowUpdate(streamId: number, increment: number): void;
  /** PRIORITY, CONTINUATION, or a type nobody here knows: nothing to do but to count it. */
  ignored(): void;
}

type Part = 'preface' | 'header' | 'pad-length' | 'data' | 'payload' | 'skipped';

const EMPTY = Buffer.alloc(0);
const PRIORITY_FIELDS_BYTES = 5;

export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #block = new HeaderBlock();
  #part: Part;
  #isFirstFrame = true;
  #stopped = false;
  /** A preface, header or payload that the last chunk ended in, and how much of it there is. */
  #held: Buffer = EMPTY;
  #heldBytes = 0;

  // The frame being read.
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Payload bytes to come; of DATA, without the padding. */
  #left = 0;
  #padding = 0;

  constructor(sink: FrameSink, peer: 'client' | 'server') {
    this.#sink = sink;
    this.#part = peer === 'client' ? 'preface' : 'header';
  }

  /** Nothing more is read, not even of the chunk being decoded. */
  stop(): void {
    this.#stopped = true;
  }

  /** Throws Http2Violation. */
  decode(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      switch (this.#part) {
        case 'header':
          if (this.#heldBytes === 0 && chunk.length - at >= FRAME_HEADER_BYTES) {
            this.#readHeader(chunk, at);
            at += FRAME_HEADER_BYTES;
          } else {
            at = this.#hold(chunk, at, FRAME_HEADER_BYTES);
            if (this.#heldBytes === FRAME_HEADER_BYTES) this.#readHeader(this.#release(), 0);
          }
          break;
        case 'data':
          at = this.#readData(chunk, at);
          break;
        case 'payload':
          if (this.#heldBytes === 0 && chunk.length - at >= this.#left) {
            const end = at + this.#left;
            this.#readPayload(chunk.subarray(at, end));
            at = end;
          } else {
            at = this.#hold(chunk, at, this.#left);
            if (this.#heldBytes === this.#left) this.#readPayload(this.#release());
          }
          break;
        case 'pad-length':
          this.#readPadLength(chunk[at] ?? 0);
          at++;
          break;
        case 'skipped':
          at = this.#skip(chunk, at);
          break;
        case 'preface':
          at = this.#hold(chunk, at, CLIENT_PREFACE.length);
          if (this.#heldBytes === CLIENT_PREFACE.length) this.#readPreface(this.#release());
          break;
      }
    }
  }

  #hold(chunk: Buffer, at: number, size: number): number {
    if (this.#heldBytes === 0) this.#held = Buffer.allocUnsafe(size);
    const copied = chunk.copy(this.#held, this.#heldBytes, at);
    this.#heldBytes += copied;
    return at + copied;
  }

  #release(): Buffer {
    const held = this.#held;
    this.#held = EMPTY;
    this.#heldBytes = 0;
    return held;
  }

  #readPreface(bytes: Buffer): void {
    if (!bytes.equals(CLIENT_PREFACE)) throw protocol('a client that does not speak HTTP/2');
    this.#part = 'header';
  }

  #readHeader(bytes: Buffer, at: number): void {
    const length = bytes.readUInt32BE(at) >>> 8;
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    // The reserved bit is ignored (RFC 9113 §4.1).
    const streamId = bytes.readUInt32BE(at + 5) & STREAM_ID_MAX;
    this.#checkOrder(type, flags, streamId);
    checkFrameHeader(type, flags, streamId, length);
    this.#type = type;
    this.#flags = flags;
    this.#streamId = streamId;
    this.#left = length;
    this.#padding = 0;
    if (type === FRAME.DATA) {
      if ((flags & FLAG.PADDED) === 0) this.#beginData();
      else if (length > 0) this.#part = 'pad-length';
      else throw frameSize('padded DATA without a padding length');
    } else if (type === FRAME.PRIORITY || type > FRAME.CONTINUATION) {
      this.#part = length > 0 ? 'skipped' : 'header';
      this.#sink.ignored();
    } else if (length > 0) {
      this.#part = 'payload';
    } else {
      this.#readPayload(EMPTY);
    }
  }

  /** RFC 9113 §3.4: SETTINGS comes first. §4.3: nothing comes between the frames of a header block. */
  #checkOrder(type: number, flags: number, streamId: number): void {
    if (this.#isFirstFrame && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0)) {
      throw protocol('a start without SETTINGS');
    }
    this.#isFirstFrame = false;
    const open = this.#block.streamId;
    const isInOrder = type === FRAME.CONTINUATION ? streamId === open : open === 0;
    if (!isInOrder) throw protocol('a frame that breaks or lacks a header block');
  }

  #readPadLength(padLength: number): void {
    this.#left -= 1 + padLength;
    if (this.#left < 0) throw protocol('more padding than payload');
    this.#padding = padLength;
    this.#beginData();
  }

  #beginData(): void {
    if (this.#left > 0) this.#part = 'data';
    else this.#endData(EMPTY);
  }

  #readData(chunk: Buffer, at: number): number {
    const available = chunk.length - at;
    if (available < this.#left) {
      this.#left -= available;
      this.#sink.data(this.#streamId, chunk.subarray(at), 0, false);
      return chunk.length;
    }
    const end = at + this.#left;
    this.#endData(chunk.subarray(at, end));
    return end;
  }

  #endData(bytes: Buffer): void {
    const isPadded = (this.#flags & FLAG.PADDED) !== 0;
    this.#left = this.#padding;
    this.#part = this.#padding > 0 ? 'skipped' : 'header';
    this.#sink.data(
      this.#streamId,
      bytes,
      isPadded ? 1 + this.#padding : 0,
      (this.#flags & FLAG.END_STREAM) !== 0,
    );
  }

  #skip(chunk: Buffer, at: number): number {
    const skipped = Math.min(this.#left, chunk.length - at);
    this.#left -= skipped;
    if (this.#left === 0) this.#part = 'header';
    return at + skipped;
  }

  #readPayload(payload: Buffer): void {
    this.#part = 'header';
    const isAck = (this.#flags & FLAG.ACK) !== 0;
    switch (this.#type) {
      case FRAME.HEADERS:
        this.#block.open(this.#streamId, (this.#flags & FLAG.END_STREAM) !== 0);
        this.#addToBlock(this.#fragmentOf(payload));
        break;
      case FRAME.CONTINUATION:
        this.#sink.ignored();
        this.#addToBlock(payload);
        break;
      case FRAME.RST_STREAM:
        this.#sink.rstStream(this.#streamId, payload.readUInt32BE(0));
        break;
      case FRAME.SETTINGS:
        if (isAck) this.#sink.settingsAck();
        else this.#sink.settings(payload);
        break;
      case FRAME.PING:
        this.#sink.ping(payload, isAck);
        break;
      case FRAME.GOAWAY:
        this.#sink.goaway(
          payload.readUInt32BE(0) & STREAM_ID_MAX,
          payload.readUInt32BE(4),
          payload.subarray(8),
        );
        break;
      case FRAME.WINDOW_UPDATE: {
        const increment = payload.readUInt32BE(0) & STREAM_ID_MAX;
        if (increment === 0) throw protocol('a WINDOW_UPDATE of 0');
        this.#sink.windowUpdate(this.#streamId, increment);
        break;
      }
    }
  }

  /** The fragment of a HEADERS frame without padding and priority (RFC 9113 §6.2). */
  #fragmentOf(payload: Buffer): Buffer {
    const isPadded = (this.#flags & FLAG.PADDED) !== 0;
    const start =
      (isPadded ? 1 : 0) + ((this.#flags & FLAG.PRIORITY) === 0 ? 0 : PRIORITY_FIELDS_BYTES);
    if (payload.length < start) throw frameSize('HEADERS shorter than their flags say');
    const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
    if (end < start) throw protocol('more padding than payload');
    return payload.subarray(start, end);
  }

  #addToBlock(fragment: Buffer): void {
    const { endStream } = this.#block;
    const block = this.#block.add(fragment, (this.#flags & FLAG.END_HEADERS) !== 0);
    if (block !== undefined) this.#sink.headers(this.#streamId, block, endStream);
  }
}
