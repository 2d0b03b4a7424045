/** Frames off the wire: RFC 9113 §4 to §6 as byte tables. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2, Http2Violation } from '../../../src/wire/http2/error-codes.ts';
import { FrameDecoder } from '../../../src/wire/http2/frame-decoder.ts';
import { CONTINUATIONS_MAX, HEADER_BLOCK_BYTES_MAX } from '../../../src/wire/http2/limits.ts';
import { PREFACE, rawFrame, rawPing, rawSettings, u32 } from './raw-frames.ts';
import { RecordingSink } from './recording-sink.ts';

const SETTINGS = rawSettings();
const STARTED = 'settings ';

function decode(chunks: readonly Buffer[], peer: 'client' | 'server' = 'server'): string[] {
  const sink = new RecordingSink();
  const decoder = new FrameDecoder(sink, peer);
  for (const chunk of chunks) decoder.decode(chunk);
  return sink.seen;
}

function codeOf(run: () => unknown): number | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof Http2Violation) return error.http2Code;
    throw error;
  }
  return undefined;
}

/** After the SETTINGS that every peer begins with. */
const LEGAL: readonly [title: string, bytes: Buffer, seen: string[]][] = [
  ['DATA', rawFrame(0, 0, 1, Buffer.from('abc')), ['data 1 "abc" +0…']],
  ['empty DATA', rawFrame(0, 0, 1), ['data 1 "" +0…']],
  ['the last DATA', rawFrame(0, 1, 1, Buffer.from('abc')), ['data 1 "abc" +0 end']],
  ['padded DATA', rawFrame(0, 9, 3, [2, 0x61, 0, 0]), ['data 3 "a" +3 end']],
  ['DATA padded by its length byte alone', rawFrame(0, 8, 3, [0, 0x61]), ['data 3 "a" +1…']],
  ['DATA that is padding alone', rawFrame(0, 9, 3, [2, 0, 0]), ['data 3 "" +3 end']],
  ['HEADERS', rawFrame(1, 4, 1, [0x82]), ['headers 1 82']],
  ['the only HEADERS', rawFrame(1, 5, 1, [0x82]), ['headers 1 82 end']],
  ['padded HEADERS', rawFrame(1, 12, 1, [2, 0x82, 0, 0]), ['headers 1 82']],
  ['HEADERS with a priority', rawFrame(1, 0x24, 1, [0, 0, 0, 0, 9, 0x82]), ['headers 1 82']],
  [
    'padded HEADERS with a priority',
    rawFrame(1, 0x2d, 1, [1, 0, 0, 0, 0, 9, 0x82, 0]),
    ['headers 1 82 end'],
  ],
  [
    'HEADERS in three frames',
    Buffer.concat([
      rawFrame(1, 1, 5, [0x82]),
      rawFrame(9, 0, 5, [0x84]),
      rawFrame(9, 4, 5, [0x86]),
    ]),
    ['ignored', 'ignored', 'headers 5 828486 end'],
  ],
  ['PRIORITY', rawFrame(2, 0, 7, [0, 0, 0, 0, 1]), ['ignored']],
  ['RST_STREAM', rawFrame(3, 0, 7, u32(8)), ['rst 7 8']],
  ['RST_STREAM with an unknown code', rawFrame(3, 0, 7, u32(0xffffffff)), ['rst 7 4294967295']],
  ['SETTINGS', rawSettings([4, 1]), ['settings 000400000001']],
  ['a SETTINGS acknowledgement', rawFrame(4, 1, 0), ['settings ack']],
  ['PING', rawPing(), ['ping 7070707070707070']],
  ['a PING acknowledgement', rawPing(true), ['ping 7070707070707070 ack']],
  [
    'GOAWAY',
    rawFrame(7, 0, 0, Buffer.concat([u32(5), u32(2), Buffer.from('why')])),
    ['goaway 5 2 "why"'],
  ],
  ['WINDOW_UPDATE of a stream', rawFrame(8, 0, 3, u32(1)), ['window 3 1']],
  ['WINDOW_UPDATE of the connection', rawFrame(8, 0, 0, u32(0x7fffffff)), ['window 0 2147483647']],
  ['an unknown type', rawFrame(0xfa, 0xff, 0, Buffer.alloc(40)), ['ignored']],
  ['an empty unknown type', rawFrame(0xfa, 0xff, 9), ['ignored']],
  ['a reserved bit before the stream id', rawFrame(3, 0, 0x80000007, u32(8)), ['rst 7 8']],
  ['a reserved bit before an increment', rawFrame(8, 0, 3, u32(0x80000001)), ['window 3 1']],
  [
    'flags that a type does not define',
    rawFrame(6, 0xf0, 0, Buffer.alloc(8)),
    [`ping ${'00'.repeat(8)}`],
  ],
  ['the longest frame', rawFrame(0xfa, 0, 0, Buffer.alloc(16_384)), ['ignored']],
];

const VIOLATIONS: readonly [title: string, bytes: Buffer, code: number][] = [
  ['a frame over 16 KiB', rawFrame(0, 0, 1, Buffer.alloc(16_385)), H2.FRAME_SIZE_ERROR],
  ['DATA on stream 0', rawFrame(0, 0, 0, [1]), H2.PROTOCOL_ERROR],
  ['padded DATA without a padding length', rawFrame(0, 8, 1), H2.FRAME_SIZE_ERROR],
  ['DATA with as much padding as payload', rawFrame(0, 8, 1, [3, 0, 0]), H2.PROTOCOL_ERROR],
  ['HEADERS on stream 0', rawFrame(1, 4, 0, [0x82]), H2.PROTOCOL_ERROR],
  ['HEADERS with more padding than payload', rawFrame(1, 12, 1, [3, 0x82]), H2.PROTOCOL_ERROR],
  ['HEADERS without the priority announced', rawFrame(1, 0x24, 1, [0, 0]), H2.FRAME_SIZE_ERROR],
  ['HEADERS without the padding announced', rawFrame(1, 12, 1), H2.FRAME_SIZE_ERROR],
  ['PRIORITY on stream 0', rawFrame(2, 0, 0, Buffer.alloc(5)), H2.PROTOCOL_ERROR],
  ['PRIORITY of 4 bytes', rawFrame(2, 0, 1, Buffer.alloc(4)), H2.FRAME_SIZE_ERROR],
  ['RST_STREAM on stream 0', rawFrame(3, 0, 0, u32(8)), H2.PROTOCOL_ERROR],
  ['RST_STREAM of 3 bytes', rawFrame(3, 0, 1, [0, 0, 8]), H2.FRAME_SIZE_ERROR],
  ['SETTINGS on a stream', rawFrame(4, 0, 1), H2.PROTOCOL_ERROR],
  ['SETTINGS of 5 bytes', rawFrame(4, 0, 0, Buffer.alloc(5)), H2.FRAME_SIZE_ERROR],
  [
    'an acknowledgement that says something',
    rawFrame(4, 1, 0, Buffer.alloc(6)),
    H2.FRAME_SIZE_ERROR,
  ],
  ['PUSH_PROMISE', rawFrame(5, 4, 1, Buffer.alloc(5)), H2.PROTOCOL_ERROR],
  ['PING on a stream', rawFrame(6, 0, 1, Buffer.alloc(8)), H2.PROTOCOL_ERROR],
  ['PING of 7 bytes', rawFrame(6, 0, 0, Buffer.alloc(7)), H2.FRAME_SIZE_ERROR],
  ['GOAWAY on a stream', rawFrame(7, 0, 1, Buffer.alloc(8)), H2.PROTOCOL_ERROR],
  ['GOAWAY of 7 bytes', rawFrame(7, 0, 0, Buffer.alloc(7)), H2.FRAME_SIZE_ERROR],
  ['WINDOW_UPDATE of 5 bytes', rawFrame(8, 0, 1, Buffer.alloc(5)), H2.FRAME_SIZE_ERROR],
  ['WINDOW_UPDATE of 0', rawFrame(8, 0, 1, u32(0)), H2.PROTOCOL_ERROR],
  ['WINDOW_UPDATE of 0 and a reserved bit', rawFrame(8, 0, 0, u32(0x80000000)), H2.PROTOCOL_ERROR],
  ['CONTINUATION of nothing', rawFrame(9, 4, 1, [0x82]), H2.PROTOCOL_ERROR],
  [
    'CONTINUATION of a finished block',
    Buffer.concat([rawFrame(1, 4, 1, [0x82]), rawFrame(9, 4, 1, [0x82])]),
    H2.PROTOCOL_ERROR,
  ],
  [
    'CONTINUATION of another stream',
    Buffer.concat([rawFrame(1, 0, 1, [0x82]), rawFrame(9, 4, 3, [0x82])]),
    H2.PROTOCOL_ERROR,
  ],
  [
    'a frame inside a header block',
    Buffer.concat([rawFrame(1, 0, 1, [0x82]), rawPing()]),
    H2.PROTOCOL_ERROR,
  ],
  [
    'an unknown frame inside a header block',
    Buffer.concat([rawFrame(1, 0, 1, [0x82]), rawFrame(0xfa, 0, 1)]),
    H2.PROTOCOL_ERROR,
  ],
];

describe('the frame decoder', () => {
  for (const [title, bytes, seen] of LEGAL) {
    it(`reads ${title}, wherever the chunks end`, () => {
      expect(decode([SETTINGS, bytes])).to.deep.equal([STARTED, ...seen]);
      const cuts = Array.from({ length: Math.min(bytes.length, 60) }, (_, i) => i);
      for (const cut of cuts) {
        const pieces = [SETTINGS, bytes.subarray(0, cut), bytes.subarray(cut)];
        expect(decode(pieces), `cut at ${cut}`).to.deep.equal([STARTED, ...seen]);
      }
      if (bytes.length > 200) return;
      const single = [...bytes].map(byte => Buffer.of(byte));
      expect(decode([SETTINGS, ...single])).to.deep.equal([STARTED, ...seen]);
    });
  }

  for (const [title, bytes, seen] of LEGAL) {
    it(`does not report ${title} before its last byte, but for DATA`, () => {
      if (bytes[3] === 0 || bytes[3] === 0xfa || bytes[3] === 2) return;
      for (let cut = 0; cut < Math.min(bytes.length, 200); cut++) {
        const soFar = decode([SETTINGS, bytes.subarray(0, cut)]);
        expect(soFar).to.not.include(seen.at(-1));
      }
    });
  }

  for (const [title, bytes, code] of VIOLATIONS) {
    it(`refuses ${title}, wherever the chunks end`, () => {
      expect(codeOf(() => decode([SETTINGS, bytes]))).to.equal(code);
      for (let cut = 1; cut < Math.min(bytes.length, 40); cut++) {
        const pieces = [SETTINGS, bytes.subarray(0, cut), bytes.subarray(cut)];
        expect(
          codeOf(() => decode(pieces)),
          `cut at ${cut}`,
        ).to.equal(code);
      }
    });
  }

  it('hands DATA on as views of the chunk, before the frame is complete', () => {
    const chunk = Buffer.concat([
      SETTINGS,
      rawFrame(0, 1, 1, Buffer.alloc(100, 0x61)).subarray(0, 50),
    ]);
    const views: Buffer[] = [];
    const sink = new RecordingSink();
    sink.data = (_id, bytes) => views.push(bytes);
    new FrameDecoder(sink, 'server').decode(chunk);
    expect(views.map(view => view.length)).to.deep.equal([41]);
    expect(views[0]?.buffer).to.equal(chunk.buffer);
  });

  it('reads nothing more once stopped, not even of the chunk at hand', () => {
    const sink = new RecordingSink();
    const decoder = new FrameDecoder(sink, 'server');
    sink.rstStream = () => decoder.stop();
    decoder.decode(Buffer.concat([SETTINGS, rawFrame(3, 0, 1, u32(0)), rawPing()]));
    decoder.decode(rawPing());
    expect(sink.seen).to.deep.equal([STARTED]);
  });

  describe('at the start of a connection', () => {
    it('takes the client preface and SETTINGS, in one piece or byte by byte', () => {
      const start = Buffer.concat([PREFACE, SETTINGS]);
      expect(decode([start], 'client')).to.deep.equal([STARTED]);
      expect(
        decode(
          [...start].map(byte => Buffer.of(byte)),
          'client',
        ),
      ).to.deep.equal([STARTED]);
    });

    const wrong: readonly [string, Buffer][] = [
      ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')],
      ['a preface with one wrong byte', Buffer.concat([PREFACE.subarray(0, 23), Buffer.of(0x0b)])],
      ['a frame that is not SETTINGS', Buffer.concat([PREFACE, rawPing()])],
      ['an acknowledgement as the first SETTINGS', Buffer.concat([PREFACE, rawFrame(4, 1, 0)])],
    ];
    for (const [title, bytes] of wrong) {
      it(`refuses ${title}`, () => {
        expect(codeOf(() => decode([bytes], 'client'))).to.equal(H2.PROTOCOL_ERROR);
      });
    }
  });

  describe('puts header blocks together', () => {
    const block = (frames: number, bytes: number): Buffer[] => [
      SETTINGS,
      rawFrame(1, 0, 1, Buffer.alloc(bytes)),
      ...Array.from({ length: frames - 1 }, () => rawFrame(9, 0, 1, Buffer.alloc(bytes))),
      rawFrame(9, 4, 1, Buffer.alloc(bytes)),
    ];

    it('of as many CONTINUATIONs as are allowed', () => {
      expect(decode(block(CONTINUATIONS_MAX, 1)).at(-1)).to.match(/^headers 1 /);
    });

    it('and refuses one CONTINUATION more', () => {
      expect(codeOf(() => decode(block(CONTINUATIONS_MAX + 1, 0)))).to.equal(H2.ENHANCE_YOUR_CALM);
    });

    it('up to their size', () => {
      expect(decode(block(1, HEADER_BLOCK_BYTES_MAX / 2)).at(-1)).to.match(/^headers 1 /);
    });

    it('and refuses a byte more', () => {
      const run = () =>
        decode([
          ...block(1, HEADER_BLOCK_BYTES_MAX / 2).slice(0, 2),
          rawFrame(9, 4, 1, Buffer.alloc(HEADER_BLOCK_BYTES_MAX / 2 + 1)),
        ]);
      expect(codeOf(run)).to.equal(H2.ENHANCE_YOUR_CALM);
    });
  });
});
