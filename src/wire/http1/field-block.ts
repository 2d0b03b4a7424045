/**
 * The field lines of a head or a trailer section (RFC 9112 §5), in two steps: `scan` checks every
 * byte and notes where names and values lie, `read` makes the model of them.
 *
 * No string is made of a block that is incomplete or refused. The model holds end-to-end fields only;
 * what is meant for this hop (RFC 9110 §7.6.1) is told apart here and can never be forwarded.
 */

import { type ConnectionOptions, connectionOptions } from './connection.ts';
import { Fields, ROLES, SPAN } from './fields.ts';
import { FIELDS_MAX } from './limits.ts';
import { BLANK, COLON, CR, endOfRun, HTAB, LF, SP, TOKEN, VALUE } from './octets.ts';

export type FieldRefusal =
  /** A CR or LF that is not half of a CRLF. */
  | 'bad-line-ending'
  /** Empty, not a token, with white space before the colon, or without a colon. */
  | 'bad-field-name'
  /** A control character, NUL and DEL among them. */
  | 'bad-field-value'
  /** A line that begins with white space (RFC 9112 §5.2). */
  | 'obs-fold'
  | 'too-many-fields'
  | 'duplicate-host'
  | 'bad-content-length'
  /** Anything but one field that says exactly `chunked`. */
  | 'bad-transfer-encoding'
  | 'length-and-encoding'
  | 'bad-connection';

export interface FieldBlock {
  readonly fields: Fields;
  readonly host: string | undefined;
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly connection: ConnectionOptions;
  /** As sent. */
  readonly upgrade: string | undefined;
  readonly expect: string | undefined;
}

/** An offset behind what was scanned, or why there is none. */
export type Scan<Refusal extends string> = number | 'incomplete' | Refusal;

const CONTENT_LENGTH = /^(?:0|[1-9][0-9]{0,15})$/;

/** Holds one scan's findings; parsing is synchronous, so one instance serves a whole module. */
export class FieldScanner {
  readonly #spans: number[] = Array.from({ length: FIELDS_MAX * SPAN }, () => 0);
  #count = 0;

  /** To behind the empty line. What is wrong is found in byte order. */
  scan(bytes: Uint8Array, start: number, end: number): Scan<FieldRefusal> {
    const spans = this.#spans;
    let span = 0;
    let at = start;
    for (;;) {
      if (at >= end) return 'incomplete';
      if (bytes[at] === CR) {
        if (at + 1 >= end) return 'incomplete';
        if (bytes[at + 1] !== LF) return 'bad-line-ending';
        this.#count = span / SPAN;
        return at + 2;
      }
      if (span === FIELDS_MAX * SPAN) return 'too-many-fields';

      const nameStart = at;
      const nameEnd = endOfRun(TOKEN, bytes, at, end);
      if (nameEnd >= end) return 'incomplete';
      if (bytes[nameEnd] !== COLON || nameEnd === nameStart) {
        return nameRefusal(bytes[nameEnd] as number, nameEnd > nameStart);
      }
      const valueStart = endOfRun(BLANK, bytes, nameEnd + 1, end);
      const lineEnd = endOfRun(VALUE, bytes, valueStart, end);
      if (lineEnd >= end) return 'incomplete';
      if (bytes[lineEnd] !== CR)
        return bytes[lineEnd] === LF ? 'bad-line-ending' : 'bad-field-value';
      if (lineEnd + 1 >= end) return 'incomplete';
      if (bytes[lineEnd + 1] !== LF) return 'bad-line-ending';
      let valueEnd = lineEnd;
      while (valueEnd > valueStart && BLANK[bytes[valueEnd - 1] as number] !== 0) valueEnd--;

      spans[span] = nameStart;
      spans[span + 1] = nameEnd;
      spans[span + 2] = valueStart;
      spans[span + 3] = valueEnd;
      spans[span + 4] =
        valueEnd === lineEnd && valueStart === nameEnd + 2 && bytes[nameEnd + 1] === SP ? 1 : 0;
      span += SPAN;
      at = lineEnd + 2;
    }
  }

  /** The model of what was scanned. `text` is the latin1 of the bytes from `base` on. */
  read(text: string, base: number): FieldBlock | FieldRefusal {
    const spans = this.#spans;
    let kept = 0;
    let host: string | undefined;
    let contentLength: number | undefined;
    let chunked = false;
    let connection: string | undefined;
    let upgrade: string | undefined;
    let expect: string | undefined;

    for (let span = 0; span < this.#count * SPAN; span += SPAN) {
      const nameStart = (spans[span] as number) - base;
      const nameEnd = (spans[span + 1] as number) - base;
      const valueStart = (spans[span + 2] as number) - base;
      const valueEnd = (spans[span + 3] as number) - base;
      const canonical = spans[span + 4] as number;
      const role = ROLES.find(text, nameStart, nameEnd);
      if (role === undefined) {
        spans[kept] = nameStart;
        spans[kept + 1] = nameEnd;
        spans[kept + 2] = valueStart;
        spans[kept + 3] = valueEnd;
        spans[kept + 4] = canonical;
        kept += SPAN;
        continue;
      }
      // `Content_Length` is not the field it imitates, but to some readers it is: it goes no further.
      if (role === 'hop-by-hop' || text.slice(nameStart, nameEnd).includes('_')) continue;
      const value = text.slice(valueStart, valueEnd);
      switch (role) {
        case 'host':
          if (host !== undefined) return 'duplicate-host';
          host = value;
          break;
        case 'content-length':
          if (contentLength !== undefined || isTabbed(text, nameEnd, canonical))
            return 'bad-content-length';
          contentLength = CONTENT_LENGTH.test(value) ? Number(value) : Infinity;
          if (contentLength > Number.MAX_SAFE_INTEGER) return 'bad-content-length';
          break;
        case 'transfer-encoding':
          if (chunked || value !== 'chunked' || isTabbed(text, nameEnd, canonical)) {
            return 'bad-transfer-encoding';
          }
          chunked = true;
          break;
        case 'connection':
          connection = joined(connection, value);
          break;
        case 'upgrade':
          upgrade = joined(upgrade, value);
          break;
        case 'expect':
          expect = joined(expect, value);
          break;
      }
    }
    if (chunked && contentLength !== undefined) return 'length-and-encoding';
    const options = connectionOptions(connection);
    if (options === undefined) return 'bad-connection';
    const fields = new Fields(text, spans.slice(0, kept));
    return {
      fields: options.named.size === 0 ? fields : fields.without(options.named),
      host,
      contentLength,
      chunked,
      connection: options,
      upgrade,
      expect,
    };
  }
}

function nameRefusal(byte: number, named: boolean): FieldRefusal {
  if (byte === LF) return 'bad-line-ending';
  if (!named && (byte === SP || byte === HTAB)) return 'obs-fold';
  return 'bad-field-name';
}

/** Not every reader takes a tab for white space, so around framing it is refused. */
function isTabbed(text: string, nameEnd: number, canonical: number): boolean {
  return canonical === 0 && text.slice(nameEnd, text.indexOf('\r', nameEnd)).includes('\t');
}

/** RFC 9110 §5.3: several lines are one list. */
function joined(list: string | undefined, value: string): string {
  return list === undefined ? value : `${list},${value}`;
}
