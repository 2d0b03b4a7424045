/** As much of HTTP/1.1 as the generator needs of an answer: its status and its length. */

export interface ResponseHead {
  readonly status: number;
  /** Of the head itself, its empty line included. */
  readonly bytes: number;
  readonly bodyBytes: number;
}

const HEAD_CHARS_MAX = 16 * 1024;

/** Undefined while the head is incomplete. Throws for an answer whose end it could not tell. */
export function parseResponseHead(text: string): ResponseHead | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) {
    if (text.length > HEAD_CHARS_MAX) throw new Error('response head has no end');
    return undefined;
  }
  const head = text.slice(0, end);
  const length = /\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error(`response has no content-length:\n${head}`);
  return { status: Number(head.slice(9, 12)), bytes: end + 4, bodyBytes: Number(length) };
}
