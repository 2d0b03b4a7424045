/** Sending within windows, and in turns: RFC 9113 §5.2 and §6.9. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME, STREAM_ID_MAX } from '../../../src/wire/http2/frames.ts';
import {
  OUTPUT_DATA_BYTES_MAX,
  OUTPUT_SHORT_BYTES_MAX,
  SHORT_BYTES_MAX,
  STREAM_OUTPUT_BYTES_MAX,
} from '../../../src/wire/http2/limits.ts';
import { Endpoint, greeted, type StreamRecorder } from './endpoint.ts';
import { rawSettings, rawWindow, type SeenFrame } from './raw-frames.ts';

const bytes = (length: number): Buffer => Buffer.alloc(length, 0x61);

/** Payload bytes of each stream. */
function dataOf(frames: readonly SeenFrame[]): Record<number, number> {
  const sums: Record<number, number> = {};
  for (const { type, streamId, payload } of frames) {
    if (type === FRAME.DATA) sums[streamId] = (sums[streamId] ?? 0) + payload.length;
  }
  return sums;
}

/** A client whose peer allows these windows. */
function client(streamWindow: number, connectionWindow = STREAM_ID_MAX): Endpoint {
  const end = greeted('client', [[4, streamWindow]]);
  if (connectionWindow > 65_535) end.receive(rawWindow(0, connectionWindow - 65_535));
  return end;
}

describe('sending', () => {
  it('stops at the window of the stream, and goes on when it opens', () => {
    const end = client(10, 65_535);
    const { stream, events } = end.open();
    expect(stream.write(bytes(4))).to.equal(4);
    expect(stream.write(bytes(100))).to.equal(6);
    expect(stream.write(bytes(1))).to.equal(0);
    end.receive(rawWindow(0, 100));
    expect(events).to.deep.equal([]);
    end.receive(rawWindow(1, 3));
    expect(events).to.deep.equal(['writable']);
    expect(stream.write(bytes(100))).to.equal(3);
    expect(dataOf(end.sent())).to.deep.equal({ 1: 13 });
  });

  it('stops at the window of the connection, and goes on when it opens', () => {
    const end = greeted('client', [[4, STREAM_ID_MAX]]);
    const { stream, events } = end.open();
    let accepted = 0;
    for (let i = 0; i < 10; i++) {
      accepted += stream.write(bytes(16_384));
      end.connection.takeOutput();
    }
    expect(accepted).to.equal(65_535);
    end.receive(rawWindow(1, 1_000));
    expect(stream.write(bytes(1))).to.equal(0);
    events.length = 0;
    end.receive(rawWindow(0, 1_000));
    expect(events).to.deep.equal(['writable']);
    expect(stream.write(bytes(2_000))).to.equal(1_000);
  });

  it('says nothing to a stream whose writes were all accepted', () => {
    const end = client(10);
    const { stream, events } = end.open();
    expect(stream.write(bytes(10))).to.equal(10);
    end.receive(rawWindow(1, 10));
    end.connection.takeOutput();
    expect(events).to.deep.equal([]);
  });

  it('says nothing more to a stream that was ended', () => {
    const end = client(10, 65_535);
    const { stream, events } = end.open();
    expect(stream.write(bytes(11))).to.equal(10);
    stream.end();
    end.receive(rawWindow(1, 10));
    end.connection.takeOutput();
    expect(events).to.deep.equal([]);
  });

  it('an end needs no window', () => {
    const end = client(0);
    const { stream } = end.open();
    expect(stream.write(bytes(1))).to.equal(0);
    stream.end();
    const last = end.sent().at(-1);
    expect(last).to.deep.include({ type: FRAME.DATA, flags: 1, streamId: 1 });
  });

  it('follows an initial window that changes while streams are open, below zero too', () => {
    const end = client(100);
    const { stream, events } = end.open();
    expect(stream.write(bytes(80))).to.equal(80);
    end.receive(rawSettings([4, 10]));
    expect(stream.write(bytes(1))).to.equal(0);
    // −70: 70 bytes of credit only reach zero.
    end.receive(rawWindow(1, 70));
    expect(events).to.deep.equal([]);
    end.receive(rawSettings([4, 15]));
    expect(events).to.deep.equal(['writable']);
    expect(stream.write(bytes(50))).to.equal(5);
    expect(end.open().stream.write(bytes(50))).to.equal(15);
  });

  it('acknowledges larger windows before it uses them', () => {
    const end = client(0);
    const recorder = end.open();
    recorder.stream.write(bytes(5));
    recorder.whenWritable = () => recorder.stream.write(bytes(5));
    end.connection.takeOutput();
    end.receive(rawSettings([4, 5]));
    expect(end.sent().map(({ type }) => type)).to.deep.equal([FRAME.SETTINGS, FRAME.DATA]);
  });

  it('takes the largest windows there are', () => {
    const end = client(STREAM_ID_MAX);
    end.open();
    expect(end.end).to.equal(undefined);
  });

  const overflows: readonly [string, (end: Endpoint) => void][] = [
    ['of a stream', end => end.receive(rawWindow(1, STREAM_ID_MAX))],
    ['of the connection', end => end.receive(rawWindow(0, STREAM_ID_MAX))],
    ['named in SETTINGS', end => end.receive(rawSettings([4, 2 ** 31]))],
    [
      'that SETTINGS makes of an update',
      end => end.receive(rawWindow(1, STREAM_ID_MAX - 10), rawSettings([4, 11])),
    ],
  ];
  for (const [title, act] of overflows) {
    it(`a window ${title} over 2^31-1 ends the connection`, () => {
      const end = client(10, 65_535);
      end.open();
      act(end);
      expect(end.failure).to.equal(H2.FLOW_CONTROL_ERROR);
    });
  }

  describe('shares', () => {
    it("an output: one stream fills only its own part of it, and gets the next output's", () => {
      const end = client(STREAM_ID_MAX);
      const [bulk, small] = [end.open(), end.open()];
      expect(bulk.stream.write(bytes(1_000_000))).to.equal(STREAM_OUTPUT_BYTES_MAX);
      expect(small.stream.write(bytes(100))).to.equal(100);
      expect(bulk.events).to.deep.equal([]);
      end.connection.takeOutput();
      expect(bulk.events).to.deep.equal(['writable']);
      expect(small.events).to.deep.equal([]);
      expect(bulk.stream.write(bytes(1_000_000))).to.equal(STREAM_OUTPUT_BYTES_MAX);
    });

    it('an output that is full, in turns once it is taken', () => {
      const end = client(STREAM_ID_MAX);
      const streams = Array.from({ length: 8 }, () => end.open());
      for (const recorder of streams) {
        recorder.whenWritable = () => recorder.stream.write(bytes(1_000_000));
        recorder.stream.write(bytes(1_000_000));
      }
      const seen = new Set<string>();
      for (let output = 0; output < 5; output++) {
        const frames = end.sent();
        const shares = Object.entries(dataOf(frames));
        expect(shares.reduce((sum, [, sent]) => sum + sent, 0)).to.be.at.most(
          OUTPUT_DATA_BYTES_MAX,
        );
        for (const [id] of shares) seen.add(id);
      }
      expect(seen).to.have.length(8);
    });

    it('an output that bulk has filled, for what is short', () => {
      const end = client(STREAM_ID_MAX);
      const bulk = Array.from({ length: 3 }, () => end.open());
      for (const { stream } of bulk) stream.write(bytes(1_000_000));
      const [short, long, first] = [end.open(), end.open(), end.open()];
      expect(short.stream.write(bytes(SHORT_BYTES_MAX))).to.equal(SHORT_BYTES_MAX);
      expect(long.stream.write(bytes(SHORT_BYTES_MAX + 1))).to.equal(0);
      expect(first.stream.write(bytes(100), SHORT_BYTES_MAX), 'the first of what is long').to.equal(
        0,
      );
      expect(dataOf(end.sent())[short.stream.id]).to.equal(SHORT_BYTES_MAX);
    });

    it('an output that bulk has filled with no more than a bound of what is short', () => {
      const end = client(STREAM_ID_MAX);
      for (let i = 0; i < 3; i++) end.open().stream.write(bytes(1_000_000));
      let accepted = 0;
      for (let i = 0; i < 50; i++) accepted += end.open().stream.write(bytes(SHORT_BYTES_MAX));
      expect(accepted).to.be.at.most(OUTPUT_SHORT_BYTES_MAX).and.above(0);
    });

    it('no window beyond what the peer gives, for what is short', () => {
      const end = greeted('client', [[4, STREAM_ID_MAX]]);
      end.open().stream.write(bytes(65_535));
      expect(end.open().stream.write(bytes(1))).to.equal(0);
    });

    it('a short connection window, a share each in the order they asked', () => {
      const end = greeted('client', [[4, STREAM_ID_MAX]]);
      const filler = end.open();
      filler.stream.write(bytes(65_535));
      filler.stream.end();
      const greedy = Array.from({ length: 5 }, () => end.open());
      for (const recorder of greedy) {
        recorder.whenWritable = () => recorder.stream.write(bytes(1_000_000));
        expect(recorder.stream.write(bytes(1_000_000))).to.equal(0);
      }
      end.connection.takeOutput();
      const share = STREAM_OUTPUT_BYTES_MAX;
      end.receive(rawWindow(0, share + 1_000));
      expect(dataOf(end.sent())).to.deep.equal({ 3: share, 5: 1_000 });
      end.receive(rawWindow(0, share + 1_000));
      expect(dataOf(end.sent())).to.deep.equal({ 7: share, 9: 1_000 });
    });

    it('a turn only among those who still want one', () => {
      const end = greeted('client', [[4, STREAM_ID_MAX]]);
      end.open().stream.write(bytes(65_535));
      const waiting = [end.open(), end.open(), end.open()];
      const [reset, idle, busy] = waiting as [StreamRecorder, StreamRecorder, StreamRecorder];
      for (const { stream } of waiting) stream.write(bytes(1));
      busy.whenWritable = () => busy.stream.write(bytes(50_000));
      reset.stream.reset(H2.CANCEL);
      end.connection.takeOutput();
      end.receive(rawWindow(0, 50_000));
      expect(reset.events).to.deep.equal([]);
      expect(idle.events).to.deep.equal(['writable']);
      expect(dataOf(end.sent())).to.deep.equal({ 7: 50_000 });
    });
  });
});
