/**
 * HTTP/2 frames (RFC 9113 §4.1 and §6): the numbers, and the frames of a connection written one after
 * the other into one buffer.
 *
 * A payload is copied once, into the buffer that goes to the socket. DATA that follows DATA of the same
 * stream joins the frame before it, and an end that follows DATA becomes its flag: a head, a body and
 * the end of a message written in one event-loop turn are one frame.
 */

import type { Slabs } from '../slabs.ts';
import type { H2Code } from './error-codes.ts';
import { FRAME_PAYLOAD_BYTES_MAX } from './limits.ts';

export const FRAME = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const FLAG = {
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const FRAME_HEADER_BYTES = 9;
export const PING_BYTES = 8;
/** Stream ids and window sizes are 31 bits (RFC 9113 §5.1.1 and §6.9.1). */
export const STREAM_ID_MAX = 2 ** 31 - 1;
/** RFC 9113 §3.4 */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

const FLAGS_OFFSET = 4;
const NO_OUTPUT = Buffer.alloc(0);

export class FrameWriter {
  readonly #slabs: Slabs;
  readonly #onOutput: () => void;
  #slab: Buffer = NO_OUTPUT;
  #length = 0;
  /** The DATA frame that ends the buffer: where it starts, and its stream; 0 for none. */
  #dataStart = 0;
  #dataStreamId = 0;

  /** `onOutput` is called when the buffer stops being empty. */
  constructor(slabs: Slabs, onOutput: () => void) {
    this.#slabs = slabs;
    this.#onOutput = onOutput;
  }

  get length(): number {
    return this.#length;
  }

  /** All that was written since the last call; the caller owns it now. */
  take(): Buffer {
    const output = this.#slab.subarray(0, this.#length);
    this.#slab = NO_OUTPUT;
    this.#length = 0;
    this.#dataStreamId = 0;
    return output;
  }

  preface(): void {
    const at = this.#reserve(CLIENT_PREFACE.length);
    this.#slab.set(CLIENT_PREFACE, at);
  }

  /** The first `length` bytes, or characters of latin1 text. Returns the number of frames it took. */
  data(streamId: number, data: Uint8Array | string, length = data.length): number {
    let frames = 0;
    let from = 0;
    if (streamId === this.#dataStreamId) from = this.#extendData(data, length);
    while (from < length) {
      const to = Math.min(length, from + FRAME_PAYLOAD_BYTES_MAX);
      const at = this.#frame(to - from, FRAME.DATA, 0, streamId);
      this.#put(data, from, to, at);
      this.#dataStart = at - FRAME_HEADER_BYTES;
      this.#dataStreamId = streamId;
      from = to;
      frames++;
    }
    return frames;
  }

  endStream(streamId: number): void {
    if (streamId === this.#dataStreamId) {
      this.#slab[this.#dataStart + FLAGS_OFFSET] = FLAG.END_STREAM;
      this.#dataStreamId = 0;
    } else {
      this.#frame(0, FRAME.DATA, FLAG.END_STREAM, streamId);
    }
  }

  /** In as many frames as the block needs (RFC 9113 §4.3). */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    let from = 0;
    do {
      const to = Math.min(block.length, from + FRAME_PAYLOAD_BYTES_MAX);
      const at = this.#frame(
        to - from,
        from === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
        (to === block.length ? FLAG.END_HEADERS : 0) |
          (from === 0 && endStream ? FLAG.END_STREAM : 0),
        streamId,
      );
      this.#slab.set(block.subarray(from, to), at);
      from = to;
    } while (from < block.length);
  }

  rstStream(streamId: number, code: H2Code): void {
    const at = this.#frame(4, FRAME.RST_STREAM, 0, streamId);
    this.#slab.writeUInt32BE(code, at);
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    let at = this.#frame(entries.length * 6, FRAME.SETTINGS, 0, 0);
    for (const [id, value] of entries) {
      this.#slab.writeUInt16BE(id, at);
      this.#slab.writeUInt32BE(value, at + 2);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#frame(0, FRAME.SETTINGS, FLAG.ACK, 0);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    const at = this.#frame(PING_BYTES, FRAME.PING, ack ? FLAG.ACK : 0, 0);
    this.#slab.set(payload, at);
  }

  goaway(lastStreamId: number, code: H2Code, reason: string): void {
    const debug = Buffer.from(reason, 'latin1');
    const at = this.#frame(8 + debug.length, FRAME.GOAWAY, 0, 0);
    this.#slab.writeUInt32BE(lastStreamId, at);
    this.#slab.writeUInt32BE(code, at + 4);
    this.#slab.set(debug, at + 8);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#frame(4, FRAME.WINDOW_UPDATE, 0, streamId);
    this.#slab.writeUInt32BE(increment, at);
  }

  /** Fills up the last DATA frame; returns how many bytes went into it. */
  #extendData(data: Uint8Array | string, length: number): number {
    const held = this.#length - this.#dataStart - FRAME_HEADER_BYTES;
    const added = Math.min(length, FRAME_PAYLOAD_BYTES_MAX - held);
    if (added === 0) return 0;
    const at = this.#reserve(added);
    this.#put(data, 0, added, at);
    writeLength(this.#slab, this.#dataStart, held + added);
    return added;
  }

  #put(data: Uint8Array | string, from: number, to: number, at: number): void {
    const isWhole = from === 0 && to === data.length;
    if (typeof data === 'string') {
      this.#slab.write(isWhole ? data : data.slice(from, to), at, 'latin1');
    } else {
      this.#slab.set(isWhole ? data : data.subarray(from, to), at);
    }
  }

  /** Writes a frame header and makes room for the payload; returns where the payload goes. */
  #frame(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#reserve(FRAME_HEADER_BYTES + length);
    const slab = this.#slab;
    writeLength(slab, at, length);
    slab[at + 3] = type;
    slab[at + FLAGS_OFFSET] = flags;
    slab[at + 5] = streamId >>> 24;
    slab[at + 6] = streamId >>> 16;
    slab[at + 7] = streamId >>> 8;
    slab[at + 8] = streamId;
    this.#dataStreamId = 0;
    return at + FRAME_HEADER_BYTES;
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (at === 0) this.#slab = this.#slabs.take();
    if (needed > this.#slab.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#slab.length * 2));
      larger.set(this.#slab.subarray(0, at));
      this.#slabs.recycle(this.#slab);
      this.#slab = larger;
    }
    this.#length = needed;
    if (at === 0) this.#onOutput();
    return at;
  }
}

function writeLength(slab: Buffer, at: number, length: number): void {
  slab[at] = length >>> 16;
  slab[at + 1] = length >>> 8;
  slab[at + 2] = length;
}
