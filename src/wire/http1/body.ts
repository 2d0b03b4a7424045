/**
 * Where the body of a message lies in the bytes that arrive, for any framing.
 *
 * A reader is made per message and told of the bytes as they come; it answers with ranges of them and
 * never copies content. Call `next` from where the last answer ended until it says `more` (give it the
 * bytes that follow), `done`, or `refused` (close the connection: nobody knows where the next message
 * begins).
 */

import { type BodyReader, type BodyStep, MORE } from './body-step.ts';
import { ChunkedReader } from './chunked.ts';
import type { Framing } from './framing.ts';

export function bodyReader(framing: Framing): BodyReader {
  switch (framing.kind) {
    case 'none':
      return new LengthReader(0);
    case 'length':
      return new LengthReader(framing.bytes);
    case 'chunked':
      return new ChunkedReader();
    case 'until-close':
      return new UntilCloseReader();
  }
}

/**
 * For the response to the only request on its connection. A byte behind it is refused, also when it
 * comes later: taken for the next answer it would reach another caller.
 */
export function responseBodyReader(framing: Framing): BodyReader {
  return new OnlyResponseReader(bodyReader(framing));
}

class LengthReader implements BodyReader {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get whole(): boolean {
    return this.#left === 0;
  }

  next(_bytes: Uint8Array, start: number, end: number): BodyStep {
    if (this.#left === 0) return { kind: 'done', next: start };
    if (start === end) return MORE;
    const dataEnd = Math.min(end, start + this.#left);
    this.#left -= dataEnd - start;
    return { kind: 'data', start, end: dataEnd };
  }
}

class UntilCloseReader implements BodyReader {
  readonly whole = true;

  next(_bytes: Uint8Array, start: number, end: number): BodyStep {
    return start === end ? MORE : { kind: 'data', start, end };
  }
}

class OnlyResponseReader implements BodyReader {
  readonly #body: BodyReader;

  constructor(body: BodyReader) {
    this.#body = body;
  }

  get whole(): boolean {
    return this.#body.whole;
  }

  next(bytes: Uint8Array, start: number, end: number): BodyStep {
    const step = this.#body.next(bytes, start, end);
    return step.kind === 'done' && step.next < end
      ? { kind: 'refused', reason: 'bytes-after-response' }
      : step;
  }
}
