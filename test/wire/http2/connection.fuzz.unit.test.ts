/** A connection under arbitrary bytes and arbitrary frames: it answers or ends, and throws nothing. */

import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import { Endpoint, greeted } from './endpoint.ts';
import { rawBlock, rawFrame } from './raw-frames.ts';

const role = fc.constantFrom('client', 'server');
const streamId = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(1, 3, 5, 7) },
  fc.constantFrom(0, 2, 0x7fffffff, 0xffffffff),
);
const block = fc.constantFrom(
  rawBlock([
    [':method', 'CONNECT'],
    [':authority', 'a:1'],
  ]),
  rawBlock([
    [':method', 'POST'],
    [':scheme', 'https'],
    [':path', '/'],
    ['content-length', '3'],
  ]),
  rawBlock([[':status', '200']]),
  rawBlock([[':status', '103']]),
  rawBlock([['x', 'y']]),
  Buffer.from('be', 'hex'),
);
const payload = fc.oneof(
  block,
  fc.uint8Array({ maxLength: 30 }).map(array => Buffer.from(array)),
  fc.constantFrom(Buffer.alloc(4), Buffer.of(0, 0, 0, 1), Buffer.alloc(8), Buffer.alloc(16_384)),
);
const frame = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 9 }) }, fc.constant(0xfa)),
    fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.integer({ min: 0, max: 255 })),
    streamId,
    payload,
  )
  .map(([type, flags, id, bytes]) => rawFrame(type, flags, id, bytes));
const likely = fc.oneof(
  fc
    .tuple(block, fc.constantFrom(4, 5), streamId)
    .map(([bytes, flags, id]) => rawFrame(1, flags, id, bytes)),
  fc.tuple(fc.constantFrom(0, 1), streamId).map(([flags, id]) => rawFrame(0, flags, id, [1, 2, 3])),
  frame,
);

function started(of: 'client' | 'server'): Endpoint {
  const end = greeted(of);
  end.whenStream = (stream, recorder) => {
    stream.sendHeaders({ status: 200, fields: [] });
    recorder.whenData = bytes => stream.state !== 'half-closed-local' && stream.write(bytes);
  };
  if (of === 'client') for (let i = 0; i < 3; i++) end.open();
  return end;
}

/** What holds whatever came in. */
function check(end: Endpoint): void {
  const frames = end.sent();
  const goaways = frames.filter(
    ({ type, payload: bytes }) => type === FRAME.GOAWAY && bytes.readUInt32BE(4) > 0,
  );
  expect(goaways).to.have.length(end.failure === undefined ? 0 : 1);
  if (end.end !== undefined) {
    expect(end.connection.streams).to.equal(0);
    for (const { stream } of end.accepted) expect(stream.state).to.equal('closed');
    end.receive(rawFrame(6, 0, 0, Buffer.alloc(8)));
    expect(end.connection.outputBytes).to.equal(0);
  }
}

describe('a connection, whatever comes', () => {
  it('answers arbitrary bytes or ends', () => {
    fc.assert(
      fc.property(
        role,
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }),
        (of, chunks) => {
          const end = started(of);
          for (const chunk of chunks) end.receive(Buffer.from(chunk));
          check(end);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('answers arbitrary bytes from the first one on, or ends', () => {
    fc.assert(
      fc.property(role, fc.array(likely, { maxLength: 8 }), (of, frames) => {
        const end = new Endpoint(of);
        end.receive(...frames);
        check(end);
      }),
      { numRuns: 300 },
    );
  });

  it('answers arbitrary frames or ends, the same wherever the chunks end', () => {
    fc.assert(
      fc.property(role, fc.array(likely, { maxLength: 20 }), fc.nat(), (of, frames, cut) => {
        const [whole, parts] = [started(of), started(of)];
        const bytes = Buffer.concat(frames);
        whole.receive(bytes);
        const at = bytes.length === 0 ? 0 : cut % bytes.length;
        parts.receive(bytes.subarray(0, at));
        parts.receive(bytes.subarray(at));
        expect(parts.end).to.deep.equal(whole.end);
        expect(parts.events).to.deep.equal(whole.events);
        const told = (end: Endpoint): unknown =>
          end.accepted.map(({ events, received }) => [events, received.toString('hex')]);
        expect(told(parts)).to.deep.equal(told(whole));
        check(whole);
        check(parts);
      }),
      { numRuns: 700 },
    );
  });
});
