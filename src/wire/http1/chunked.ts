/**
 * The chunked coding (RFC 9112 §7.1), read as strictly as heads: a size is plain hexadecimal, every
 * line ends in CRLF, nothing is forgiven that another reader could count differently.
 *
 * The reader is a state machine over byte ranges. It keeps no content, only its place, and the trailer
 * section until that is whole; extensions are read past. For the next hop the body is written anew:
 * `chunkHead`, content and CRLF for each range, then `lastChunk`.
 */

import { type BodyReader, type BodyRefusal, type BodyStep, MORE } from './body-step.ts';
import { NO_OPTIONS } from './connection.ts';
import { FieldScanner } from './field-block.ts';
import type { FieldNames } from './field-names.ts';
import { Fields } from './fields.ts';
import { CHUNK_EXTENSION_BYTES_MAX, CHUNK_SIZE_DIGITS_MAX, TRAILER_BYTES_MAX } from './limits.ts';
import { CR, hexDigit, LF, SEMICOLON, VALUE } from './octets.ts';

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'done';

/**
 * What a trailer must not say (RFC 9110 §6.5.1): a receiver may merge it into the head, by which the
 * message was routed, authorized and understood. Host, Connection and framing are refused;
 * other hop-by-hop names never get this far.
 */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'forwarded',
  'location',
  'max-forwards',
  'range',
  'set-cookie',
  'trailer',
  'via',
  'www-authenticate',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

const NO_TRAILERS = new Fields('', []);
const scanner = new FieldScanner();

/** What goes before `bytes` bytes of content; CRLF goes behind them. */
export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

export function lastChunk(trailers: Fields, drop?: FieldNames<unknown>): string {
  return `0\r\n${trailers.lines(drop)}\r\n`;
}

export class ChunkedReader implements BodyReader {
  #state: State = 'size';
  #digits = 0;
  /** Of the chunk, then what is left of it. */
  #size = 0;
  #extensionBytes = 0;
  #held: number[] = [];
  #trailers = NO_TRAILERS;

  get whole(): boolean {
    return this.#state === 'done';
  }

  /** Trailer fields that may go on; none before `done`. */
  get trailers(): Fields {
    return this.#trailers;
  }

  next(bytes: Uint8Array, start: number, end: number): BodyStep {
    for (let at = start; at < end; at++) {
      if (this.#state === 'data') return this.#data(at, end);
      if (this.#state === 'done') return { kind: 'done', next: at };
      const refusal = this.#read(bytes[at] as number);
      if (refusal !== undefined) return { kind: 'refused', reason: refusal };
    }
    return this.#state === 'done' ? { kind: 'done', next: end } : MORE;
  }

  #data(start: number, end: number): BodyStep {
    const dataEnd = Math.min(end, start + this.#size);
    this.#size -= dataEnd - start;
    if (this.#size === 0) this.#state = 'data-cr';
    return { kind: 'data', start, end: dataEnd };
  }

  /** One byte of what is not content. */
  #read(byte: number): BodyRefusal | undefined {
    switch (this.#state) {
      case 'size':
        return this.#readSize(byte);
      case 'extension':
        if (byte === CR) this.#state = 'size-lf';
        else if (VALUE[byte] === 0 || ++this.#extensionBytes > CHUNK_EXTENSION_BYTES_MAX) {
          return 'bad-chunk-extension';
        }
        return undefined;
      case 'size-lf':
        this.#state = this.#size === 0 ? 'trailer' : 'data';
        return byte === LF ? undefined : 'bad-line-ending';
      case 'data-cr':
        this.#state = 'data-lf';
        return byte === CR ? undefined : 'bad-chunk-end';
      case 'data-lf':
        this.#state = 'size';
        this.#digits = 0;
        this.#extensionBytes = 0;
        return byte === LF ? undefined : 'bad-chunk-end';
      default:
        return this.#readTrailer(byte);
    }
  }

  #readSize(byte: number): BodyRefusal | undefined {
    const digit = hexDigit(byte);
    if (digit < 0 && this.#digits > 0 && (byte === CR || byte === SEMICOLON)) {
      this.#state = byte === CR ? 'size-lf' : 'extension';
      return undefined;
    }
    this.#size = this.#size * 16 + digit;
    const legal =
      digit >= 0 &&
      ++this.#digits <= CHUNK_SIZE_DIGITS_MAX &&
      this.#size <= Number.MAX_SAFE_INTEGER;
    return legal ? undefined : 'bad-chunk-size';
  }

  #readTrailer(byte: number): BodyRefusal | undefined {
    const held = this.#held;
    if ((held.at(-1) === CR) !== (byte === LF)) return 'bad-line-ending';
    held.push(byte);
    if (held.length > TRAILER_BYTES_MAX) return 'trailer-too-large';
    const lineEmpty = held.length === 2 || held.at(-3) === LF;
    if (byte !== LF || !lineEmpty) return undefined;
    this.#state = 'done';
    return held.length === 2 ? undefined : this.#readTrailers(Buffer.from(held));
  }

  #readTrailers(section: Buffer): BodyRefusal | undefined {
    const end = scanner.scan(section, 0, section.length);
    if (end === 'incomplete') return 'bad-line-ending';
    if (typeof end === 'string') return end;
    const block = scanner.read(section.toString('latin1'), 0);
    if (typeof block === 'string') return block;
    // To some readers, node:http among them, these mean in a trailer what they mean in a head.
    const framed = block.contentLength !== undefined || block.chunked;
    if (framed || block.host !== undefined || block.connection !== NO_OPTIONS) return 'bad-trailer';
    this.#trailers = block.fields.without(NOT_IN_TRAILERS);
    return undefined;
  }
}
