/**
 * The body of one message on its way from a connection to a channel: read by its own framing, written
 * with the framing of the next hop. Content is never copied here and never held.
 */

import { bodyReader } from '../../wire/http1/body.ts';
import type { BodyReader } from '../../wire/http1/body-step.ts';
import { ChunkedReader, chunkHead, lastChunk } from '../../wire/http1/chunked.ts';
import type { Framing } from '../../wire/http1/framing.ts';
import { type Channel, NO_BYTES } from '../bytes/channel.ts';
import { MESH_FIELDS } from './mesh-fields.ts';

/** Where the message ends in the bytes, or that it goes on, or that nobody can say. */
export type BodyProgress = number | 'more' | 'refused';

export class BodyRelay {
  #reader: BodyReader | undefined;
  #chunked = false;
  /** Goes before the next bytes, in the same write. */
  #text = '';
  #full = false;
  #done = true;

  /** `head` is sent with the first of the body. */
  begin(head: string, framing: Framing, chunked: boolean): void {
    this.#text = head;
    this.#reader = framing.kind === 'none' ? undefined : bodyReader(framing);
    this.#chunked = chunked;
    this.#full = false;
    this.#done = false;
  }

  /** The whole message has been read. */
  get done(): boolean {
    return this.#done;
  }

  /** The last bytes filled the channel: the source has to wait. */
  get full(): boolean {
    return this.#full;
  }

  /** Reads on from `start`. */
  relay(bytes: Buffer, start: number, to: Channel): BodyProgress {
    const reader = this.#reader;
    if (reader === undefined) return this.#finish('', start, to);
    let at = start;
    for (;;) {
      const step = reader.next(bytes, at, bytes.length);
      switch (step.kind) {
        case 'data':
          this.#sendContent(bytes, step.start, step.end, to);
          at = step.end;
          break;
        case 'done':
          return this.#finish(
            this.#chunked ? lastChunk(trailersOf(reader), MESH_FIELDS) : '',
            step.next,
            to,
          );
        case 'more':
          this.#sendText('', to);
          return 'more';
        case 'refused':
          return 'refused';
      }
    }
  }

  /** The connection has ended. False: in the middle of the message. */
  endOfInput(to: Channel): boolean {
    if (this.#done) return true;
    if (this.#reader?.whole !== true) return false;
    this.#finish(this.#chunked ? '0\r\n\r\n' : '', 0, to);
    return true;
  }

  #sendContent(bytes: Buffer, start: number, end: number, to: Channel): void {
    const chunked = this.#chunked;
    const before = chunked ? this.#text + chunkHead(end - start) : this.#text;
    this.#text = '';
    this.#full = !to.send(before, bytes, start, end, chunked ? '\r\n' : '');
  }

  #finish(last: string, next: number, to: Channel): number {
    this.#sendText(last, to);
    this.#done = true;
    return next;
  }

  #sendText(last: string, to: Channel): void {
    const text = this.#text + last;
    this.#text = '';
    if (text !== '') this.#full = !to.send(text, NO_BYTES, 0, 0, '');
  }
}

function trailersOf(reader: BodyReader) {
  return reader instanceof ChunkedReader ? reader.trailers : NO_TRAILERS;
}
const NO_TRAILERS = new ChunkedReader().trailers;
