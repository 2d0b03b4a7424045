/** The seeds of test/corpus/http1 and ways to spoil them. */

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';

export interface Seed {
  /** Of a refused one, what comes before the first dot is the reason. */
  readonly name: string;
  /** latin1. */
  readonly text: string;
}

type Verdict = 'legal' | 'refused';

const CORPUS = new URL('../../../../test/corpus/http1/', import.meta.url);

export function seeds(kind: 'requests' | 'responses', verdict: Verdict): readonly Seed[] {
  const folder = new URL(`${kind}/${verdict}/`, CORPUS);
  return readdirSync(folder).map(file => ({
    name: file.replace(/\.http$/, ''),
    text: readFileSync(new URL(file, folder), 'latin1'),
  }));
}

/** What has made parsers disagree before. */
const FRAGMENTS = [
  ...['\r', '\n', '\r\n', '\r\n\r\n', '\0', ' ', '\t', '\x0b', '\x7f', '\xa0', '\xff'],
  ...[':', ';', ',', '"', '+', '-', '_', '0', '1', '5', '0x', '%', '%00', '%2f', '#', '?', '\\'],
  ...['chunked', 'identity', 'close', 'keep-alive', 'Upgrade', 'HTTP/1.0', 'http://a'],
  ...['Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n'],
  ...['Content_Length: 5\r\n', 'Host: b\r\n', 'X: ', 'Connection: close\r\n', 'Expect: '],
  ...['0\r\n\r\n', '5\r\nhello\r\n', ';ext=1', 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n'],
];

interface Edit {
  readonly kind: 'insert' | 'replace' | 'delete' | 'repeat line' | 'drop line';
  /** Where, as a share of the text. */
  readonly at: number;
  readonly bytes: number;
  readonly fragment: string;
}

/** From 0 to below 1, evenly: fast-check's own doubles are mostly next to 0. */
export const share: fc.Arbitrary<number> = fc
  .noBias(fc.integer({ min: 0, max: 9999 }))
  .map(n => n / 10_000);

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom('insert', 'replace', 'delete', 'repeat line', 'drop line'),
  at: share,
  bytes: fc.integer({ min: 1, max: 3 }),
  fragment: fc.constantFrom(...FRAGMENTS),
});

/** One to three edits to a seed. */
export function mutated(from: readonly Seed[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...from), fc.array(edit, { minLength: 1, maxLength: 3 }))
    .map(([seed, edits]) => edits.reduce(apply, seed.text));
}

function apply(text: string, { kind, at, bytes, fragment }: Edit): string {
  const position = Math.floor(at * text.length);
  switch (kind) {
    case 'insert':
      return text.slice(0, position) + fragment + text.slice(position);
    case 'replace':
      return text.slice(0, position) + fragment + text.slice(position + bytes);
    case 'delete':
      return text.slice(0, position) + text.slice(position + bytes);
    default: {
      const start = text.lastIndexOf('\n', position) + 1;
      const end = text.indexOf('\n', start) + 1 || text.length;
      const line = kind === 'drop line' ? '' : text.slice(start, end).repeat(2);
      return text.slice(0, start) + line + text.slice(end);
    }
  }
}
