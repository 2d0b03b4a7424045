/**
 * DATA on its way out: flow control (RFC 9113 §5.2), bounded output, and turns for streams that wait.
 *
 * A stream that could not write all it wanted waits for what it lacked: its own window, the next output
 * (it filled its share of this one), or room that all streams share. When shared room comes, those
 * waiting for it get a share each, round and round, so none of them starves behind a busy one. What is
 * short has room of its own, and does not wait behind bulk. A share is long, because what comes in a row is
 * cheaper for whoever has to write it to the stream's client.
 */

import type { Budget } from './budget.ts';
import { H2, Http2Violation } from './error-codes.ts';
import { type FrameWriter, STREAM_ID_MAX } from './frames.ts';
import {
  IDLE_FRAMES_PER_DATA_FRAME,
  OUTPUT_DATA_BYTES_MAX,
  OUTPUT_SHORT_BYTES_MAX,
  SHORT_BYTES_MAX,
  STREAM_OUTPUT_BYTES_MAX,
} from './limits.ts';
import { DEFAULT_WINDOW_BYTES } from './settings.ts';
import type { LiveStream } from './stream.ts';

export class Sender {
  readonly #frames: FrameWriter;
  readonly #idleFrames: Budget;
  #window = DEFAULT_WINDOW_BYTES;
  #initialWindow = DEFAULT_WINDOW_BYTES;
  /** Counts the outputs taken: each gives every stream a new share. */
  #turn = 0;
  readonly #waitForWindow = new Set<LiveStream>();
  readonly #waitForOutput = new Set<LiveStream>();
  /** In the order of their turns. */
  readonly #waitForRoom = new Set<LiveStream>();
  #isGranting = false;

  constructor(frames: FrameWriter, idleFrames: Budget) {
    this.#frames = frames;
    this.#idleFrames = idleFrames;
  }

  get initialWindow(): number {
    return this.#initialWindow;
  }

  /** Bytes, or latin1 text, with so many bytes of the same to follow. */
  write(stream: LiveStream, data: Uint8Array | string, following: number): number {
    if (stream.outputTurn !== this.#turn) {
      stream.outputTurn = this.#turn;
      stream.outputBytes = 0;
    }
    const isShort = data.length + following <= SHORT_BYTES_MAX;
    const room = Math.min(this.#roomOf(stream), this.#sharedRoom(isShort));
    const accepted = Math.max(0, Math.min(data.length, room));
    if (accepted > 0) {
      const frames = this.#frames.data(stream.id, data, accepted);
      stream.sendWindow -= accepted;
      stream.outputBytes += accepted;
      this.#window -= accepted;
      this.#idleFrames.earn(frames * IDLE_FRAMES_PER_DATA_FRAME);
    }
    if (accepted < data.length) this.#wait(stream);
    return accepted;
  }

  /** The output was taken: every stream has its share again. */
  outputTaken(): void {
    this.#turn++;
    for (const stream of this.#waitForOutput) this.#waitForRoom.add(stream);
    this.#waitForOutput.clear();
    this.#grant();
  }

  /** RFC 9113 §6.9.1: a window beyond 2^31-1 ends the connection, even if it is one stream's. */
  windowUpdate(stream: LiveStream | undefined, increment: number): void {
    const window = (stream?.sendWindow ?? this.#window) + increment;
    if (window > STREAM_ID_MAX) throw overflow();
    if (stream === undefined) this.#window = window;
    else this.#setWindow(stream, window);
    this.#grant();
  }

  /** RFC 9113 §6.9.2: moves the window of every stream, below zero if need be. */
  setInitialWindow(bytes: number, streams: Iterable<LiveStream>): void {
    const change = bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    for (const stream of streams) {
      const window = stream.sendWindow + change;
      if (window > STREAM_ID_MAX) throw overflow();
      this.#setWindow(stream, window);
    }
    this.#grant();
  }

  /** The stream sends nothing any more. */
  forget(stream: LiveStream): void {
    this.#waitForWindow.delete(stream);
    this.#waitForOutput.delete(stream);
    this.#waitForRoom.delete(stream);
  }

  #setWindow(stream: LiveStream, window: number): void {
    stream.sendWindow = window;
    if (window > 0 && this.#waitForWindow.delete(stream)) this.#waitForRoom.add(stream);
  }

  #wait(stream: LiveStream): void {
    if (stream.sendWindow <= 0) this.#waitForWindow.add(stream);
    else if (stream.outputBytes >= STREAM_OUTPUT_BYTES_MAX) this.#waitForOutput.add(stream);
    else this.#waitForRoom.add(stream);
  }

  #grant(): void {
    if (this.#isGranting) return;
    // A Set visits what is added while it is walked: a stream that wants more goes to the end.
    for (const stream of this.#waitForRoom) {
      if (this.#sharedRoom(false) <= 0) break;
      this.#waitForRoom.delete(stream);
      this.#isGranting = true;
      try {
        stream.handler?.onWritable();
      } finally {
        this.#isGranting = false;
      }
    }
  }

  #roomOf(stream: LiveStream): number {
    return Math.min(stream.sendWindow, STREAM_OUTPUT_BYTES_MAX - stream.outputBytes);
  }

  #sharedRoom(isShort: boolean): number {
    const most = OUTPUT_DATA_BYTES_MAX + (isShort ? OUTPUT_SHORT_BYTES_MAX : 0);
    return Math.min(this.#window, most - this.#frames.length);
  }
}

function overflow(): Http2Violation {
  return new Http2Violation(H2.FLOW_CONTROL_ERROR, 'found a window of more than 2^31-1 bytes');
}
