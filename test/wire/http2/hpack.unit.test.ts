/** HPACK against the examples of RFC 7541 Appendix C, and its limits. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2, Http2Violation } from '../../../src/wire/http2/error-codes.ts';
import { type HeaderField, HpackDecoder } from '../../../src/wire/http2/hpack-decoder.ts';
import { EMPTY_TABLE_UPDATE, encodeFields } from '../../../src/wire/http2/hpack-encoder.ts';
import { STATIC_TABLE } from '../../../src/wire/http2/hpack-static-table.ts';
import { decodeHuffman } from '../../../src/wire/http2/huffman.ts';
import { HEADER_FIELDS_MAX, HEADER_LIST_BYTES_MAX } from '../../../src/wire/http2/limits.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function refusalOf(run: () => unknown): number | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof Http2Violation) return error.http2Code;
    throw error;
  }
  return undefined;
}

const FIRST: HeaderField[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const SECOND: HeaderField[] = [...FIRST, ['cache-control', 'no-cache']];
const THIRD: HeaderField[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
];
const RESPONSE = (status: string, date: string): HeaderField[] => [
  [':status', status],
  ['cache-control', 'private'],
  ['date', date],
  ['location', 'https://www.example.com'],
];
const DATE_1 = 'Mon, 21 Oct 2013 20:13:21 GMT';
const DATE_2 = 'Mon, 21 Oct 2013 20:13:22 GMT';
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const RESPONSES: HeaderField[][] = [
  RESPONSE('302', DATE_1),
  RESPONSE('307', DATE_1),
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', DATE_2],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', COOKIE],
  ],
];

/** The examples assume a table of 256 bytes for responses, which a block can ask for. */
const TABLE_256 = '3fe101';

const SEQUENCES: readonly [title: string, blocks: string[], lists: HeaderField[][]][] = [
  [
    'C.2.1, a literal with indexing',
    ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'be'],
    [[['custom-key', 'custom-header']], [['custom-key', 'custom-header']]],
  ],
  [
    'C.2.2, a literal without indexing',
    ['040c 2f73 616d 706c 652f 7061 7468'],
    [[[':path', '/sample/path']]],
  ],
  [
    'C.2.3, a literal never indexed',
    ['1008 7061 7373 776f 7264 0673 6563 7265 74'],
    [[['password', 'secret']]],
  ],
  ['C.2.4, an index', ['82'], [[[':method', 'GET']]]],
  [
    'C.3, requests',
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    [FIRST, SECOND, THIRD],
  ],
  [
    'C.4, requests in the Huffman code',
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    [FIRST, SECOND, THIRD],
  ],
  [
    'C.5, responses that evict',
    [
      `${TABLE_256} 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ],
    RESPONSES,
  ],
  [
    'C.6, responses that evict, in the Huffman code',
    [
      `${TABLE_256} 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ],
    RESPONSES,
  ],
];

describe('HPACK', () => {
  for (const [title, blocks, lists] of SEQUENCES) {
    it(`decodes RFC 7541 ${title}`, () => {
      const decoder = new HpackDecoder();
      expect(blocks.map(block => decoder.decode(hex(block)))).to.deep.equal(lists);
    });

    it(`gives whole fields or nothing for every prefix of ${title}`, () => {
      const block = hex(blocks[0] ?? '');
      for (let length = 0; length < block.length; length++) {
        let fields: HeaderField[] = [];
        const refusal = refusalOf(() => {
          fields = new HpackDecoder().decode(block.subarray(0, length));
        });
        expect([undefined, H2.COMPRESSION_ERROR]).to.include(refusal);
        expect(fields).to.deep.equal(lists[0]?.slice(0, fields.length));
      }
    });
  }

  it('knows the 61 static entries', () => {
    expect(STATIC_TABLE).to.have.length(61);
    expect(STATIC_TABLE[60]).to.deep.equal(['www-authenticate', '']);
  });

  describe('encodes', () => {
    const table: readonly [string, HeaderField, string][] = [
      ['a field of the static table', [':method', 'GET'], '82'],
      ['a name of the static table', [':authority', 'a'], '01 01 61'],
      ['a name beyond the prefix', ['user-agent', 'a'], '0f 2b 01 61'],
      ['a name of its own', ['x-a', 'b'], '00 03 782d61 01 62'],
      ['an empty value', ['x-a', ''], '00 03 782d61 00'],
      ['a long value', ['x-a', 'b'.repeat(200)], `00 03 782d61 7f49 ${'62'.repeat(200)}`],
    ];
    for (const [title, field, bytes] of table) {
      it(title, () => {
        expect(encodeFields([field]).toString('hex')).to.equal(hex(bytes).toString('hex'));
        expect(new HpackDecoder().decode(encodeFields([field]))).to.deep.equal([field]);
      });
    }

    it('an empty table, which every decoder takes', () => {
      const block = Buffer.concat([EMPTY_TABLE_UPDATE, encodeFields(FIRST)]);
      expect(new HpackDecoder().decode(block)).to.deep.equal(FIRST);
    });
  });

  describe('refuses', () => {
    const table: readonly [title: string, block: string, twin: string][] = [
      ['index 0', '80', '81'],
      ['an index beyond both tables', 'be', 'bd'],
      ['a name beyond both tables', '7e 00', '7d 00'],
      ['an integer over four bytes', '3f e1 ff ff ff 00', '3f e1 01'],
      ['an integer that does not end', '3f ff', '3f e1 01'],
      ['a string that ends after its block', '00 03 61 62', '00 01 61 01 62'],
      ['a table over the size we allow', '3f e2 1f', '3f e1 1f'],
      ['a size update after a field', '82 20', '20 82'],
      ['Huffman padding of 8 bits', '00 01 61 82 1f ff', '00 01 61 81 1f'],
      ['Huffman padding with a zero bit', '00 01 61 81 1e', '00 01 61 81 1f'],
      ['an EOS symbol in a string', '00 01 61 84 ff ff ff ff', '00 01 61 80'],
    ];
    for (const [title, block, twin] of table) {
      it(title, () => {
        expect(refusalOf(() => new HpackDecoder().decode(hex(block)))).to.equal(
          H2.COMPRESSION_ERROR,
        );
        expect(refusalOf(() => new HpackDecoder().decode(hex(twin)))).to.equal(undefined);
      });
    }

    it('an index that was evicted when the table became smaller', () => {
      const insert = hex('40 01 61 01 62');
      const decoder = new HpackDecoder();
      decoder.decode(insert);
      expect(decoder.decode(hex('be'))).to.deep.equal([['a', 'b']]);
      expect(refusalOf(() => decoder.decode(hex('20 be')))).to.equal(H2.COMPRESSION_ERROR);
    });
  });

  it('empties the table for a field that is larger than it (RFC 7541 §4.4)', () => {
    const decoder = new HpackDecoder();
    decoder.decode(hex('40 01 61 01 62'));
    const large: HeaderField = ['x', 'y'.repeat(5_000)];
    const block = encodeFields([large]);
    block[0] = 0x40;
    expect(decoder.decode(block)).to.deep.equal([large]);
    expect(refusalOf(() => decoder.decode(hex('be')))).to.equal(H2.COMPRESSION_ERROR);
  });

  describe('counts what comes out', () => {
    it('and takes as many fields as are allowed', () => {
      const block = Buffer.alloc(HEADER_FIELDS_MAX, 0x82);
      expect(new HpackDecoder().decode(block)).to.have.length(HEADER_FIELDS_MAX);
    });

    it('and refuses one more', () => {
      const block = Buffer.alloc(HEADER_FIELDS_MAX + 1, 0x82);
      expect(refusalOf(() => new HpackDecoder().decode(block))).to.equal(H2.ENHANCE_YOUR_CALM);
    });

    const cookie: HeaderField = ['cookie', 'c'.repeat(4_000 - 32 - 6)];
    const inserted = (): Buffer => {
      const block = encodeFields([cookie]);
      block[0] = (block[0] ?? 0) | 0x40;
      // A literal with indexing has six bits for the name's index where one without has four.
      return Buffer.concat([Buffer.of(0x60), block.subarray(2)]);
    };

    it('and takes a large field by its index within the size allowed', () => {
      const times = Math.floor(HEADER_LIST_BYTES_MAX / 4_000) - 1;
      const block = Buffer.concat([inserted(), Buffer.alloc(times, 0xbe)]);
      expect(new HpackDecoder().decode(block)).to.have.length(times + 1);
    });

    it('and refuses a bomb: a large field by its index ten thousand times', () => {
      const block = Buffer.concat([inserted(), Buffer.alloc(10_000, 0xbe)]);
      expect(refusalOf(() => new HpackDecoder().decode(block))).to.equal(H2.ENHANCE_YOUR_CALM);
    });
  });

  it('decodes each Huffman symbol that RFC 7541 spells out in its examples', () => {
    expect(decodeHuffman(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff'))).to.equal('www.example.com');
    expect(decodeHuffman(Buffer.alloc(0))).to.equal('');
    expect(decodeHuffman(hex('1fff'))).to.equal(undefined);
  });
});
