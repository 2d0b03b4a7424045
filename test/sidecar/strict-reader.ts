/**
 * HTTP/1.1 messages as RFC 9112 frames them, read by nothing but this file: the judge of what the
 * sidecar sends. It shares no code with `src/wire/http1` and forgives nothing.
 */

export interface StrictMessage {
  readonly startLine: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export type StrictReading =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'ill-framed'; readonly problem: string }
  | { readonly kind: 'message'; readonly message: StrictMessage; readonly length: number };

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 [1-5][0-9][0-9] [\t -~\x80-\xff]*$/;
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)$/;
const FINAL_WITHOUT_BODY = /^HTTP\/1\.1 (?:1[0-9][0-9]|204|304) /;

/** The first request in the text (latin1), or what is wrong with it. */
export function readRequest(text: string): StrictReading {
  const head = readHead(text, REQUEST_LINE);
  if (head.kind !== 'head') return head;
  const hosts = head.fields.filter(([name]) => name === 'host');
  if (hosts.length !== 1) return wrong(`${hosts.length} Host fields`);
  return readBody(text, head, { kind: 'none' });
}

/** The first response in the text; `isHead` when it answers a HEAD. */
export function readResponse(text: string, isHead = false): StrictReading {
  const head = readHead(text, STATUS_LINE);
  if (head.kind !== 'head') return head;
  if (isHead || FINAL_WITHOUT_BODY.test(`${head.startLine} `)) return finish(head, '', head.length);
  return readBody(text, head, { kind: 'until-close' });
}

interface Head {
  readonly kind: 'head';
  readonly startLine: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly length: number;
}

function readHead(
  text: string,
  startLine: RegExp,
): Head | Exclude<StrictReading, { kind: 'message' }> {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return { kind: 'incomplete' };
  const [start = '', ...lines] = text.slice(0, end).split('\r\n');
  if (!startLine.test(start)) return wrong(`start line ${JSON.stringify(start)}`);
  const fields: (readonly [string, string])[] = [];
  for (const line of lines) {
    const match = FIELD_LINE.exec(line);
    if (match?.[1] === undefined) return wrong(`field line ${JSON.stringify(line)}`);
    fields.push([match[1].toLowerCase(), match[2] ?? '']);
  }
  return { kind: 'head', startLine: start, fields, length: end + 4 };
}

function readBody(
  text: string,
  head: Head,
  unframed: { readonly kind: 'none' | 'until-close' },
): StrictReading {
  const lengths = valuesOf(head, 'content-length');
  const codings = valuesOf(head, 'transfer-encoding');
  if (lengths.length + codings.length > 1) return wrong('more than one framing');
  const [length] = lengths;
  if (length !== undefined) {
    if (!/^(?:0|[1-9][0-9]*)$/.test(length)) return wrong(`content-length "${length}"`);
    const end = head.length + Number(length);
    return text.length < end
      ? { kind: 'incomplete' }
      : finish(head, text.slice(head.length, end), end);
  }
  const [coding] = codings;
  if (coding !== undefined) {
    return coding === 'chunked' ? readChunks(text, head) : wrong(`coding "${coding}"`);
  }
  return unframed.kind === 'none'
    ? finish(head, '', head.length)
    : finish(head, text.slice(head.length), text.length);
}

function readChunks(text: string, head: Head): StrictReading {
  let at = head.length;
  let body = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return { kind: 'incomplete' };
    const size = text.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,8}$/.test(size)) return wrong(`chunk size ${JSON.stringify(size)}`);
    at = lineEnd + 2;
    const bytes = Number.parseInt(size, 16);
    if (bytes === 0) return readTrailers(text, head, body, at);
    if (text.length < at + bytes + 2) return { kind: 'incomplete' };
    if (text.slice(at + bytes, at + bytes + 2) !== '\r\n') return wrong('chunk without its CRLF');
    body += text.slice(at, at + bytes);
    at += bytes + 2;
  }
}

function readTrailers(text: string, head: Head, body: string, from: number): StrictReading {
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return { kind: 'incomplete' };
    if (lineEnd === at) return finish(head, body, at + 2);
    const line = text.slice(at, lineEnd);
    if (!FIELD_LINE.test(line)) return wrong(`trailer ${JSON.stringify(line)}`);
    at = lineEnd + 2;
  }
}

function valuesOf(head: Head, name: string): string[] {
  return head.fields.filter(([each]) => each === name).map(([, value]) => value);
}

function finish({ startLine, fields }: Head, body: string, length: number): StrictReading {
  return { kind: 'message', message: { startLine, fields, body }, length };
}

function wrong(problem: string): { readonly kind: 'ill-framed'; readonly problem: string } {
  return { kind: 'ill-framed', problem };
}
