/** HPACK under arbitrary fields and arbitrary bytes. */

import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { Http2Violation } from '../../../src/wire/http2/error-codes.ts';
import { type HeaderField, HpackDecoder } from '../../../src/wire/http2/hpack-decoder.ts';
import { encodeFields } from '../../../src/wire/http2/hpack-encoder.ts';
import { STATIC_TABLE } from '../../../src/wire/http2/hpack-static-table.ts';
import { decodeHuffman, HUFFMAN_LENGTHS } from '../../../src/wire/http2/huffman.ts';

const bytes = fc.uint8Array({ maxLength: 80 }).map(array => Buffer.from(array));
const latin1 = bytes.map(buffer => buffer.toString('latin1'));
const field: fc.Arbitrary<HeaderField> = fc.oneof(
  fc.tuple(latin1, latin1),
  fc.constantFrom(...STATIC_TABLE),
  fc.tuple(fc.constantFrom(...STATIC_TABLE.map(([name]) => name)), latin1),
);

/** The codes of RFC 7541 Appendix B as strings of bits, made the long way. */
const HUFFMAN_BITS = ((): string[] => {
  const codes: string[] = [];
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol < HUFFMAN_LENGTHS.length; symbol++) {
      if (Number.parseInt(HUFFMAN_LENGTHS[symbol]!, 36) !== length) continue;
      codes[symbol] = code.toString(2).padStart(length, '0');
      code++;
    }
    code *= 2;
  }
  return codes;
})();

function encodeHuffman(text: Buffer): Buffer {
  const bits = [...text].map(byte => HUFFMAN_BITS[byte]!).join('');
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return Buffer.from((padded.match(/.{8}/g) ?? []).map(octet => Number.parseInt(octet, 2)));
}

function outcome(run: () => unknown): 'fine' | 'violation' {
  try {
    run();
    return 'fine';
  } catch (error) {
    if (error instanceof Http2Violation) return 'violation';
    throw error;
  }
}

describe('HPACK, whatever comes', () => {
  it('decodes what it encodes', () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 40 }), fields => {
        expect(new HpackDecoder().decode(encodeFields(fields))).to.deep.equal(fields);
      }),
      { numRuns: 500 },
    );
  });

  it('throws nothing but a violation, and keeps its table for the next block', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), blocks => {
        const decoder = new HpackDecoder();
        for (const block of blocks) if (outcome(() => decoder.decode(block)) === 'violation') break;
      }),
      { numRuns: 1_000 },
    );
  });

  it('never reads beyond the block it was given', () => {
    fc.assert(
      fc.property(bytes, bytes, (block, behind) => {
        const around = Buffer.concat([block, behind]).subarray(0, block.length);
        const alone = Buffer.from(block);
        const decode = (of: Buffer) => () => new HpackDecoder().decode(of);
        expect(outcome(decode(around))).to.equal(outcome(decode(alone)));
      }),
      { numRuns: 500 },
    );
  });

  it('decodes every string in the Huffman code', () => {
    expect(HUFFMAN_BITS[0x61]).to.equal('00011');
    expect(HUFFMAN_BITS[256]).to.equal('1'.repeat(30));
    fc.assert(
      fc.property(bytes, text => {
        expect(decodeHuffman(encodeHuffman(text))).to.equal(text.toString('latin1'));
      }),
      { numRuns: 500 },
    );
  });
});
