/**
 * Which byte may stand where in an HTTP/1.1 head: a table of 0 and 1 per class.
 *
 * Stricter than the RFCs where readers are known to differ: no `\`, `#` or byte above 0x7E in a
 * target, only capitals and `-` in a method.
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const PERCENT = 0x25;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const QUESTION = 0x3f;

/** RFC 9110 §5.6.2: names. */
export const TOKEN = tableOf(/[!#$%&'*+.^_`|~0-9A-Za-z-]/);
/** RFC 9110 §5.5: field values, reason phrases and chunk extensions, with obs-text. */
export const VALUE = tableOf(/[\t\x20-\x7e\x80-\xff]/);
/** Visible ASCII but `#`, `\` and `%`, which needs a look at what follows it. */
export const TARGET = tableOf(/[!"$&-[\]-~]/);
/** As all registered methods are written: to an application that ignores case, `get` is a GET that no
 * rule for GET saw. */
export const METHOD = tableOf(/[A-Z-]/);

/** RFC 9110 §5.6.3: optional white space. */
export const BLANK = tableOf(/[ \t]/);

const TOKEN_TEXT = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isToken(text: string): boolean {
  return TOKEN_TEXT.test(text);
}

/** False for a string that is not latin1 either: written as latin1, U+010A would become a line feed. */
export function isFieldValue(text: string): boolean {
  return VALUE_TEXT.test(text);
}

/** The first byte from `start` on that is not of the class, or `end`. */
export function endOfRun(
  legal: Readonly<Uint8Array>,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let at = start;
  while (at < end && legal[bytes[at] as number] !== 0) at++;
  return at;
}

/** The value of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

function tableOf(legal: RegExp): Readonly<Uint8Array> {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    legal.test(String.fromCharCode(byte)) ? 1 : 0,
  );
}
