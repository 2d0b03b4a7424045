/** Frames as they go out: bytes of RFC 9113 §6, one buffer, one copy. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FrameDecoder } from '../../../src/wire/http2/frame-decoder.ts';
import { FrameWriter } from '../../../src/wire/http2/frames.ts';
import { SLAB_BYTES, SPARE_SLABS_MAX } from '../../../src/wire/http2/limits.ts';
import { Slabs } from '../../../src/wire/slabs.ts';
import { rawFrame, rawSettings, seeFrames, u32 } from './raw-frames.ts';
import { RecordingSink } from './recording-sink.ts';

function written(write: (frames: FrameWriter) => void): Buffer {
  const frames = new FrameWriter(new Slabs(SLAB_BYTES, SPARE_SLABS_MAX), () => undefined);
  write(frames);
  return frames.take();
}

describe('the frame writer', () => {
  const table: readonly [title: string, (frames: FrameWriter) => void, Buffer][] = [
    ['DATA', f => f.data(1, Buffer.from('abc')), rawFrame(0, 0, 1, Buffer.from('abc'))],
    ['no DATA for no bytes', f => f.data(1, Buffer.alloc(0)), Buffer.alloc(0)],
    ['an end', f => f.endStream(0x7fffffff), rawFrame(0, 1, 0x7fffffff)],
    ['HEADERS', f => f.headers(3, Buffer.of(0x82), false), rawFrame(1, 4, 3, [0x82])],
    ['HEADERS with the end', f => f.headers(3, Buffer.of(0x82), true), rawFrame(1, 5, 3, [0x82])],
    [
      'a long block in HEADERS and CONTINUATION',
      f => f.headers(3, Buffer.alloc(16_385, 1), true),
      Buffer.concat([rawFrame(1, 1, 3, Buffer.alloc(16_384, 1)), rawFrame(9, 4, 3, [1])]),
    ],
    ['RST_STREAM', f => f.rstStream(0x01020304, 8), rawFrame(3, 0, 0x01020304, u32(8))],
    ['SETTINGS', f => f.settings([[4, 0xffffffff]]), rawSettings([4, 0xffffffff])],
    ['an acknowledgement', f => f.settingsAck(), rawFrame(4, 1, 0)],
    ['PING', f => f.ping(Buffer.alloc(8, 7), false), rawFrame(6, 0, 0, Buffer.alloc(8, 7))],
    ['its answer', f => f.ping(Buffer.alloc(8, 7), true), rawFrame(6, 1, 0, Buffer.alloc(8, 7))],
    [
      'GOAWAY',
      f => f.goaway(7, 11, 'why'),
      rawFrame(7, 0, 0, Buffer.concat([u32(7), u32(11), Buffer.from('why')])),
    ],
    ['WINDOW_UPDATE', f => f.windowUpdate(0, 0x7fffffff), rawFrame(8, 0, 0, u32(0x7fffffff))],
    [
      'DATA after DATA of one stream as one frame',
      f => {
        f.data(1, Buffer.from('ab'));
        f.data(1, Buffer.from('c'));
      },
      rawFrame(0, 0, 1, Buffer.from('abc')),
    ],
    [
      'an end after DATA as its flag',
      f => {
        f.data(1, Buffer.from('ab'));
        f.endStream(1);
      },
      rawFrame(0, 1, 1, Buffer.from('ab')),
    ],
    [
      'DATA of two streams apart',
      f => {
        f.data(1, Buffer.from('a'));
        f.data(3, Buffer.from('b'));
        f.data(1, Buffer.from('c'));
      },
      Buffer.concat([
        rawFrame(0, 0, 1, Buffer.from('a')),
        rawFrame(0, 0, 3, Buffer.from('b')),
        rawFrame(0, 0, 1, Buffer.from('c')),
      ]),
    ],
    [
      'an end after another stream by itself',
      f => {
        f.data(1, Buffer.from('a'));
        f.data(3, Buffer.from('b'));
        f.endStream(1);
      },
      Buffer.concat([
        rawFrame(0, 0, 1, Buffer.from('a')),
        rawFrame(0, 0, 3, Buffer.from('b')),
        rawFrame(0, 1, 1),
      ]),
    ],
    [
      'DATA and another frame in their order',
      f => {
        f.data(1, Buffer.from('a'));
        f.settingsAck();
        f.data(1, Buffer.from('b'));
      },
      Buffer.concat([
        rawFrame(0, 0, 1, Buffer.from('a')),
        rawFrame(4, 1, 0),
        rawFrame(0, 0, 1, Buffer.from('b')),
      ]),
    ],
    [
      'DATA that fills the frame before it, and the rest in another',
      f => {
        f.data(1, Buffer.alloc(16_383, 1));
        f.data(1, Buffer.of(2, 3));
        f.endStream(1);
      },
      Buffer.concat([
        rawFrame(0, 0, 1, Buffer.concat([Buffer.alloc(16_383, 1), Buffer.of(2)])),
        rawFrame(0, 1, 1, [3]),
      ]),
    ],
  ];
  for (const [title, write, bytes] of table) {
    it(`writes ${title}`, () => {
      expect(written(write).equals(bytes)).to.equal(true);
    });
  }

  it('says how many frames DATA took', () => {
    written(frames => {
      expect(frames.data(1, Buffer.alloc(40_000))).to.equal(3);
      expect(frames.data(1, Buffer.alloc(10))).to.equal(0);
    });
  });

  it('starts a new buffer with each take, and joins nothing across it', () => {
    const frames = new FrameWriter(new Slabs(SLAB_BYTES, SPARE_SLABS_MAX), () => undefined);
    frames.data(1, Buffer.from('a'));
    const first = frames.take();
    frames.data(1, Buffer.from('b'));
    frames.endStream(1);
    expect(first.equals(rawFrame(0, 0, 1, Buffer.from('a')))).to.equal(true);
    expect(frames.take().equals(rawFrame(0, 1, 1, Buffer.from('b')))).to.equal(true);
    expect(frames.take().length).to.equal(0);
  });

  it('calls once for output until it is taken', () => {
    let calls = 0;
    const frames = new FrameWriter(new Slabs(SLAB_BYTES, SPARE_SLABS_MAX), () => calls++);
    frames.settingsAck();
    frames.settingsAck();
    expect(calls).to.equal(1);
    frames.take();
    frames.settingsAck();
    expect(calls).to.equal(2);
  });

  it('keeps what it holds when the output outgrows its buffer', () => {
    const bytes = Buffer.from(Array.from({ length: SLAB_BYTES * 2 }, (_, i) => i % 251));
    const output = written(frames => {
      frames.ping(Buffer.alloc(8, 1), false);
      frames.data(1, bytes.subarray(0, SLAB_BYTES / 2));
      frames.data(1, bytes.subarray(SLAB_BYTES / 2));
    });
    const payloads = seeFrames(output).filter(frame => frame.type === 0);
    expect(Buffer.concat(payloads.map(frame => frame.payload)).equals(bytes)).to.equal(true);
  });

  it('uses a recycled buffer again, and no foreign one', () => {
    const slabs = new Slabs(SLAB_BYTES, SPARE_SLABS_MAX);
    const frames = new FrameWriter(slabs, () => undefined);
    frames.settingsAck();
    const first = frames.take();
    slabs.recycle(Buffer.alloc(10));
    slabs.recycle(first);
    frames.settingsAck();
    expect(frames.take().buffer).to.equal(first.buffer);
    frames.settingsAck();
    expect(frames.take().buffer).to.not.equal(first.buffer);
  });

  it('writes what the decoder reads', () => {
    const output = written(f => {
      f.settings([[3, 100]]);
      f.headers(1, Buffer.alloc(16_384, 0x82), false);
      f.data(1, Buffer.from('abc'));
      f.endStream(1);
      f.rstStream(3, 7);
      f.ping(Buffer.alloc(8, 0x70), true);
      f.windowUpdate(5, 9);
      f.goaway(1, 0, 'bye');
    });
    const sink = new RecordingSink();
    new FrameDecoder(sink, 'server').decode(output);
    expect(sink.seen).to.deep.equal([
      'settings 000300000064',
      `headers 1 ${'82'.repeat(16_384)}`,
      'data 1 "abc" +0 end',
      'rst 3 7',
      'ping 7070707070707070 ack',
      'window 5 9',
      'goaway 1 0 "bye"',
    ]);
  });
});
