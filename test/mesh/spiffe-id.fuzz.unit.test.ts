/** The parser against an oracle written from the ABNF of SPIFFE-ID §2 as one regular expression. */

import { expect } from 'chai';
import fc from 'fast-check';
import { parseSpiffeId } from '../../src/mesh/spiffe-id.ts';

const ORACLE = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/(?!\.{1,2}(?:\/|$))[a-zA-Z0-9._-]+)*)$/;

function oracle(text: string): unknown {
  const match = new TextEncoder().encode(text).length > 2048 ? null : ORACLE.exec(text);
  return match && { kind: 'ok', id: text, trustDomain: match[1], path: match[2] };
}

const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'Z', '9', '.', '..', '-', '_', '/', 'ns', 'td') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('spiffe://', '%2e', '@', ':', '?', '#', '\\', '\0', '\n'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
);
const text = fc
  .tuple(fc.constantFrom('spiffe://', 'spiffe://td', 'spiffe:/', ''), fc.array(piece))
  .map(([head, tail]) => head + tail.join(''));

describe('parseSpiffeId', () => {
  it('agrees with the specification grammar on any text', () => {
    fc.assert(
      fc.property(text, candidate => {
        const parsed = parseSpiffeId(candidate);
        expect(parsed.kind === 'ok' ? parsed : null).to.deep.equal(oracle(candidate));
      }),
      { numRuns: 1000 },
    );
  });
});
