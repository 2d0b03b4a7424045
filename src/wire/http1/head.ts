/** What request and response heads share: their version, and when it is worth parsing again. */

import type { Scan } from './field-block.ts';
import { HEAD_BYTES_MAX } from './limits.ts';
import { CR, HTAB, LF, SP } from './octets.ts';

/** The `x` of HTTP/1.x. */
export type MinorVersion = 0 | 1;

const PREFIX = 'HTTP/';
const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_1 = 0x31;
const DIGIT_9 = 0x39;

/**
 * False while nothing behind `scanned` can end the head or spoil it, given that the bytes before
 * `scanned` were found to be the beginning of a legal one. So a head that arrives in pieces is parsed
 * twice at most, however many the pieces; in return, some of what is wrong shows only at its end.
 */
export function mayConclude(
  bytes: Uint8Array,
  start: number,
  scanned: number,
  end: number,
): boolean {
  if (scanned <= start || end - start >= HEAD_BYTES_MAX) return true;
  for (let at = scanned; at < end; at++) {
    const byte = bytes[at] as number;
    const afterCr = bytes[at - 1] === CR;
    if (afterCr !== (byte === LF)) return true;
    if (byte < SP && byte !== HTAB && byte !== CR && byte !== LF) return true;
    if (byte === LF && at - 2 >= start && bytes[at - 2] === LF) return true;
  }
  return false;
}

/** To behind the last digit of `HTTP/1.0` or `HTTP/1.1`. */
export function scanVersion(
  bytes: Uint8Array,
  start: number,
  end: number,
): Scan<'bad-version' | 'not-http'> {
  for (let i = 0; i < PREFIX.length; i++) {
    if (start + i >= end) return 'incomplete';
    if (bytes[start + i] !== PREFIX.charCodeAt(i)) return 'not-http';
  }
  const major = start + PREFIX.length;
  if (major + 3 > end) return 'incomplete';
  const minor = bytes[major + 2];
  if (!isDigit(bytes[major]) || bytes[major + 1] !== DOT || !isDigit(minor)) return 'not-http';
  if (bytes[major] !== DIGIT_1 || (minor !== DIGIT_0 && minor !== DIGIT_1)) return 'bad-version';
  return major + 3;
}

/** Of the version that ends at `end`. */
export function minorVersionAt(bytes: Uint8Array, end: number): MinorVersion {
  return bytes[end - 1] === DIGIT_1 ? 1 : 0;
}

/** Of a line that must end here. */
export function scanLineEnd(
  bytes: Uint8Array,
  start: number,
  end: number,
): Scan<'bad-line-ending' | 'overlong-line'> {
  if (start >= end) return 'incomplete';
  if (bytes[start] !== CR) return bytes[start] === LF ? 'bad-line-ending' : 'overlong-line';
  if (start + 1 >= end) return 'incomplete';
  return bytes[start + 1] === LF ? start + 2 : 'bad-line-ending';
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_9;
}
