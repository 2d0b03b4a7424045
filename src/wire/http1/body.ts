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
