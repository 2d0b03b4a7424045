/**
 * A CONNECT stream as a channel, on either end of a tunnel.
 *
 * The stream's windows bound what is unread: bytes are given back to the peer as they are dealt with, and
 * not while the channel is paused. What the connection has no room for is kept here until it has; the
 * owner was told to wait, so that is at most what one read of its source brought.
 */

import { afterFault } from '../../runtime/faults.ts';
import { H2, type H2Code } from '../../wire/http2/error-codes.ts';
import type { ResponseHead } from '../../wire/http2/heads.ts';
import type { Http2Stream, StreamHandler } from '../../wire/http2/stream.ts';
import { GATHERED_BYTES_MIN, READ_BYTES } from '../limits.ts';
import { bulk } from './bulk.ts';
import type { Channel, ChannelOwner } from './channel.ts';

export class StreamChannel implements Channel, StreamHandler {
  #stream: Http2Stream | undefined;
  #owner: ChannelOwner | undefined;
  #onAnswer: ((head: ResponseHead | undefined) => void) | undefined;
  #paused = false;
  #unreadBytes = 0;
  /** Arrived before there was an owner. */
  #early: Buffer[] = [];
  #ended = false;
  #unsent: Buffer[] = [];
  #endAfterUnsent = false;
  #hasEnded = false;
  #closed = false;
  /** Reset before there was an owner. */
  #brokenEarly: H2Code | undefined;

  /** The stream comes after its handler. */
  open(stream: Http2Stream): void {
    this.#stream = stream;
  }

  get closed(): boolean {
    return this.#closed || (this.#ended && this.#hasEnded);
  }

  /** Of a stream we opened: called once, with undefined when it was over before an answer. */
  onceAnswered(listener: (head: ResponseHead | undefined) => void): void {
    this.#onAnswer = listener;
  }

  attach(owner: ChannelOwner): void {
    this.#owner = owner;
    if (this.#early.length > 0) {
      const early = this.#early;
      this.#early = [];
      for (const bytes of early) owner.onData(bytes);
    }
    this.resume();
    if (this.#ended) owner.onEnd();
    if (this.#brokenEarly !== undefined) queueMicrotask(() => this.#tellBroken(owner));
  }

  send(before: string, bytes: Buffer, start: number, end: number, after: string): boolean {
    if (this.#closed || this.#hasEnded) return true;
    if (before !== '') this.#write(before, end - start);
    if (end > start)
      this.#write(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    if (after !== '') this.#write(after);
    return this.#unsent.length === 0;
  }

  end(): void {
    if (this.#closed || this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#unsent.length > 0) this.#endAfterUnsent = true;
    else this.#stream?.end();
  }

  /** The stream was answered and ended otherwise; what still arrives is dropped. */
  refuse(): void {
    this.#closed = true;
    this.resume();
    this.#early = [];
  }

  abort(): void {
    this.reset(H2.CANCEL);
  }

  reset(code: H2Code): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner = undefined;
    this.#unsent = [];
    this.#early = [];
    this.#stream?.reset(code);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const bytes = this.#unreadBytes;
    if (bytes === 0) return;
    this.#unreadBytes = 0;
    this.#stream?.consumed(bytes);
  }

  onHeaders(head: ResponseHead): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    this.#guard(() => onAnswer?.(head));
  }

  onData(bytes: Buffer): void {
    if (this.#closed) this.#stream?.consumed(bytes.length);
    else if (this.#owner === undefined) {
      this.#early.push(Buffer.from(bytes));
      this.#unreadBytes += bytes.length;
    } else {
      try {
        this.#owner.onData(bytes);
      } catch (error) {
        this.#onFault(error);
      }
      if (this.#paused) this.#unreadBytes += bytes.length;
      else this.#stream?.consumed(bytes.length);
    }
  }

  onEnd(): void {
    this.#ended = true;
    this.#guard(() => this.#owner?.onEnd());
  }

  onReset(code: H2Code): void {
    if (this.#closed) return;
    this.#closed = true;
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    this.#guard(() => {
      onAnswer?.(undefined);
      if (this.#owner === undefined) this.#brokenEarly = code;
      else this.#owner.onBroken(code === H2.REFUSED_STREAM);
    });
  }

  onWritable(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0] as Buffer;
      const written = this.#stream?.write(bytes) ?? 0;
      if (written < bytes.length) {
        this.#unsent[0] = bytes.subarray(written);
        return;
      }
      this.#unsent.shift();
      bulk.recycle(bytes);
    }
    if (this.#endAfterUnsent) this.#stream?.end();
    else this.#guard(() => this.#owner?.onWritable());
  }

  /** Not within `attach`: an owner may be about to send. */
  #tellBroken(owner: ChannelOwner): void {
    const code = this.#brokenEarly;
    if (this.#owner === owner) this.#guard(() => owner.onBroken(code === H2.REFUSED_STREAM));
  }

  #guard(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#onFault(error);
    }
  }

  /** A fault of the owner ends this stream, and no other of its connection. */
  #onFault(error: unknown): void {
    const owner = this.#owner;
    afterFault(error, () => {
      this.reset(H2.INTERNAL_ERROR);
      owner?.onBroken(false);
    });
  }

  #write(data: Buffer | string, following = 0): void {
    const written = this.#unsent.length > 0 ? 0 : (this.#stream?.write(data, following) ?? 0);
    if (written < data.length) this.#unsent.push(kept(data, written));
  }
}

/** A copy, from `start` on. */
function kept(data: Buffer | string, start: number): Buffer {
  if (typeof data === 'string') return Buffer.from(data.slice(start), 'latin1');
  const bytes = data.subarray(start);
  if (bytes.length < GATHERED_BYTES_MIN || bytes.length > READ_BYTES) return Buffer.from(bytes);
  const copy = bulk.take().subarray(0, bytes.length);
  copy.set(bytes);
  return copy;
}
