/** Floods and tricks, each beside the honest use that it looks like. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import {
  IDLE_FRAMES_BURST,
  IDLE_FRAMES_PER_SECOND,
  OUTPUT_BYTES_MAX,
  RESETS_BURST,
  RESETS_PER_SECOND,
  SETTINGS_COST,
  STREAMS_MAX,
} from '../../../src/wire/http2/limits.ts';
import { CONNECT, Endpoint, greeted } from './endpoint.ts';
import {
  rawBlock,
  rawConnect,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawRst,
  rawSettings,
  rawSettingsAck,
  rawWindow,
} from './raw-frames.ts';

/** Calls until the connection has ended, or so often. Output is read, as by an honest socket. */
function repeat(end: Endpoint, times: number, step: (i: number) => Buffer): number {
  let done = 0;
  for (; done < times && end.end === undefined; done++) {
    end.receive(step(done));
    end.connection.takeOutput();
  }
  return done;
}

const idOf = (i: number): number => 2 * i + 1;
const connect = (i: number): Buffer => rawHeaders(idOf(i), rawConnect());

describe('rapid reset (CVE-2023-44487)', () => {
  const openAndReset = (i: number): Buffer =>
    Buffer.concat([connect(i), rawRst(idOf(i), H2.CANCEL)]);

  it('ends the connection after its budget', () => {
    const server = greeted('server');
    expect(repeat(server, 100_000, openAndReset)).to.equal(RESETS_BURST + 1);
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
    expect(server.accepted.every(({ stream }) => stream.state === 'closed')).to.equal(true);
  });

  it('is not what a caller does that gives up now and then', () => {
    const server = greeted('server');
    const done = repeat(server, RESETS_BURST * 3, i => {
      server.clock.nowMs += 1_000 / RESETS_PER_SECOND;
      return openAndReset(i);
    });
    expect(done).to.equal(RESETS_BURST * 3);
  });

  it('is not what a thousand callers do that hang up at once', () => {
    const server = greeted('server');
    repeat(server, STREAMS_MAX, connect);
    repeat(server, STREAMS_MAX, i => rawRst(idOf(i), H2.CANCEL));
    expect(server.end).to.equal(undefined);
  });

  it('is not what streams do that end in order', () => {
    const server = greeted('server');
    server.whenStream = stream => {
      stream.sendHeaders({ status: 200, fields: [] }, true);
    };
    const done = repeat(server, RESETS_BURST * 5, i => rawHeaders(idOf(i), rawConnect(), true));
    expect(done).to.equal(RESETS_BURST * 5);
    expect(server.connection.streams).to.equal(0);
  });
});

describe('making us reset (CVE-2025-8671)', () => {
  const malformed = (i: number): Buffer => rawHeaders(idOf(i), rawBlock([[':method', 'CONNECT']]));
  const afterEnd = (i: number): Buffer =>
    Buffer.concat([connect(i), rawData(idOf(i), '', true), rawData(idOf(i), 'x')]);
  const trailers = (i: number): Buffer =>
    Buffer.concat([connect(i), rawHeaders(idOf(i), rawBlock([['x', 'y']]), true)]);
  const tooLong = (i: number): Buffer =>
    Buffer.concat([
      rawHeaders(
        idOf(i),
        rawBlock([
          [':method', 'PUT'],
          [':scheme', 'https'],
          [':path', '/'],
          ['content-length', '0'],
        ]),
      ),
      rawData(idOf(i), 'x'),
    ]);
  for (const [title, step] of [
    ['by malformed requests', malformed],
    ['by DATA after the end', afterEnd],
    ['by trailers in a tunnel', trailers],
    ['by more DATA than announced', tooLong],
  ] as const) {
    it(`${title} has the same budget`, () => {
      const server = greeted('server');
      expect(repeat(server, 100_000, step)).to.equal(RESETS_BURST + 1);
      expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
    });
  }

  it('by more streams than are allowed has the same budget', () => {
    const server = greeted('server');
    expect(repeat(server, 100_000, connect)).to.equal(STREAMS_MAX + RESETS_BURST + 1);
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
  });

  it('by an increment of 0, or a PRIORITY of the wrong size, ends the connection at once', () => {
    for (const bytes of [rawWindow(1, 0), rawFrame(2, 0, 1, [0, 0])]) {
      const server = greeted('server');
      server.receive(connect(0), bytes);
      expect(server.end?.kind).to.equal('failed');
    }
  });
});

describe('frames that carry nothing', () => {
  const floods: readonly [title: string, frame: Buffer, cost: number][] = [
    ['PING', rawPing(), 1],
    ['answers to PINGs nobody sent', rawPing(true), 1],
    ['SETTINGS', rawSettings([4, 1]), SETTINGS_COST],
    ['acknowledgements of SETTINGS nobody sent', rawSettingsAck(), 1],
    ['empty DATA', rawFrame(0, 0, 1), 1],
    ['padding alone', rawFrame(0, 8, 1, [1, 0]), 1],
    ['WINDOW_UPDATE of a stream', rawWindow(1, 1), 1],
    ['WINDOW_UPDATE of the connection', rawWindow(0, 1), 1],
    ['WINDOW_UPDATE of a closed stream', rawWindow(3, 1), 1],
    ['RST_STREAM of a closed stream', rawRst(3, 0), 1],
    ['PRIORITY', rawFrame(2, 0, 1, Buffer.alloc(5)), 1],
    ['unknown types', rawFrame(0xfa, 0, 0), 1],
    ['GOAWAY', rawFrame(7, 0, 0, Buffer.alloc(8)), 1],
  ];
  const opened = (): Endpoint => {
    const server = greeted('server');
    server.receive(connect(0), connect(1), rawRst(3, H2.CANCEL));
    return server;
  };
  for (const [title, frame, cost] of floods) {
    it(`end the connection as a flood: ${title}`, () => {
      const server = opened();
      expect(repeat(server, 100_000, () => frame)).to.be.at.most(IDLE_FRAMES_BURST / cost + 1);
      expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
    });

    it(`are fine at a lively pace: ${title}`, () => {
      const server = opened();
      repeat(server, IDLE_FRAMES_BURST / cost / 2, () => frame);
      const times = IDLE_FRAMES_BURST / cost;
      const done = repeat(server, times, () => {
        server.clock.nowMs += (1_000 * cost) / IDLE_FRAMES_PER_SECOND;
        return frame;
      });
      expect(done).to.equal(times);
      expect(server.end).to.equal(undefined);
    });
  }

  it('are earned by DATA we send: a peer may open windows byte by byte for as long as it reads', () => {
    const client = greeted('client');
    const { stream } = client.open(CONNECT);
    let sent = 0;
    for (let i = 0; i < IDLE_FRAMES_BURST * 2; i++) {
      sent += stream.write(Buffer.alloc(1));
      client.connection.takeOutput();
      client.receive(rawWindow(1, 1), rawWindow(0, 1));
    }
    expect(sent).to.equal(IDLE_FRAMES_BURST * 2);
  });

  it('are answered only as long as the answers are read', () => {
    const server = greeted('server');
    const step = rawFrame(6, 0, 0, Buffer.alloc(8));
    const chunk = Buffer.concat(Array.from({ length: 1_000 }, () => step));
    let received = 0;
    while (server.end === undefined) {
      server.clock.nowMs += 1_000;
      server.receive(chunk);
      received += 1_000;
    }
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
    expect(received * step.length).to.be.lessThan(OUTPUT_BYTES_MAX + 2 * chunk.length);
  });
});

describe('header floods', () => {
  it('CONTINUATION without an end costs the attacker its connection, and us no more than a block', () => {
    const server = greeted('server');
    server.receive(rawFrame(1, 0, 1, Buffer.alloc(1_000, 0x82)));
    const sent = repeat(server, 10_000, () => rawFrame(9, 0, 1, Buffer.alloc(1_000, 0x82)));
    expect(sent).to.be.lessThan(20);
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
    expect(server.sent().at(-1)?.type ?? FRAME.GOAWAY).to.equal(FRAME.GOAWAY);
  });

  it('CONTINUATION of one byte each does too', () => {
    const server = greeted('server');
    server.receive(rawFrame(1, 0, 1, [0x82]));
    expect(repeat(server, 10_000, () => rawFrame(9, 0, 1, [0x82]))).to.be.lessThan(20);
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
  });

  it('an HPACK bomb does too', () => {
    const server = greeted('server');
    const cookie = Buffer.concat([
      Buffer.from('60', 'hex'),
      Buffer.from('7fa11e', 'hex'),
      Buffer.alloc(4_000, 0x61),
    ]);
    server.receive(rawHeaders(1, Buffer.concat([rawConnect(), cookie])));
    expect(server.end).to.equal(undefined);
    server.receive(rawHeaders(3, Buffer.concat([rawConnect(), Buffer.alloc(10_000, 0xbe)])));
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
  });

  it('a block in several honest frames is a request like any other', () => {
    const server = greeted('server');
    const block = rawConnect();
    server.receive(
      rawFrame(1, 0, 1, block.subarray(0, 5)),
      rawFrame(9, 0, 1, block.subarray(5, 9)),
      rawFrame(9, 4, 1, block.subarray(9)),
    );
    expect(server.events).to.deep.equal(['stream 1 CONNECT a:80']);
  });
});

describe('a budget', () => {
  it('is not filled by a clock that was set back', () => {
    const server = greeted('server');
    repeat(server, IDLE_FRAMES_BURST, () => rawPing());
    server.clock.nowMs = 0;
    repeat(server, 1_000, () => rawPing());
    expect(server.failure).to.equal(H2.ENHANCE_YOUR_CALM);
  });
});
