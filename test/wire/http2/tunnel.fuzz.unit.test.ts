/**
 * Two connections and a model: whatever is opened, written, read, ended and reset in whatever order, with
 * bytes delivered in whatever pieces, each stream's bytes arrive whole and in order, nobody breaks a
 * window, and nothing waits for ever.
 */

import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from '../../../src/wire/http2/limits.ts';
import { Endpoint, type StreamRecorder } from './endpoint.ts';

type Side = 'client' | 'server';

type Step =
  | { readonly kind: 'open' }
  | { readonly kind: 'write'; readonly side: Side; readonly pick: number; readonly bytes: number }
  | { readonly kind: 'end' | 'reset'; readonly side: Side; readonly pick: number }
  | { readonly kind: 'consume'; readonly side: Side; readonly pick: number; readonly bytes: number }
  | { readonly kind: 'flush'; readonly side: Side }
  | { readonly kind: 'deliver'; readonly side: Side; readonly bytes: number }
  | { readonly kind: 'goaway'; readonly side: Side };

const side = fc.constantFrom<Side>('client', 'server');
const pick = fc.nat({ max: 7 });
const bytes = fc.oneof(
  fc.integer({ min: 1, max: 2_000 }),
  fc.integer({ min: 1, max: STREAM_WINDOW_BYTES * 1.5 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('write' as const), side, pick, bytes }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), side, pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), side, pick }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('consume' as const), side, pick, bytes }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('flush' as const), side }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('deliver' as const), side, bytes }) },
);

/** A prime, so that a frame lost or swapped shows. */
const PATTERN_PERIOD = 251;
const PATTERN = Buffer.alloc(
  80 * 2 * STREAM_WINDOW_BYTES,
  Buffer.from(Array.from({ length: PATTERN_PERIOD }, (_, i) => i)),
);

/** One end of one stream, and what it has been asked to send. */
class Flow {
  readonly recorder: StreamRecorder;
  readonly #seed: number;
  wanted = 0;
  sent = 0;
  wantsEnd = false;
  hasEnded = false;
  isReset = false;
  unread = 0;

  constructor(recorder: StreamRecorder, seed: number) {
    this.recorder = recorder;
    this.#seed = seed;
    recorder.consumes = false;
    recorder.whenData = chunk => {
      this.unread += chunk.length;
    };
    recorder.whenWritable = () => this.push();
  }

  get isOver(): boolean {
    return this.isReset || this.recorder.events.some(event => event.startsWith('reset'));
  }

  pattern(from: number, to: number): Buffer {
    const start = (this.#seed + from) % PATTERN_PERIOD;
    return PATTERN.subarray(start, start + to - from);
  }

  push(): void {
    if (this.isOver || this.hasEnded) return;
    while (this.sent < this.wanted) {
      // As a source does that holds what was not accepted.
      const offered = this.pattern(this.sent, Math.min(this.wanted, this.sent + 100_000));
      const accepted = this.recorder.stream.write(offered);
      this.sent += accepted;
      if (accepted < offered.length) break;
    }
    if (this.sent === this.wanted && this.wantsEnd) {
      this.hasEnded = true;
      this.recorder.stream.end();
    }
  }

  read(count: number): void {
    const read = Math.min(count, this.unread);
    this.unread -= read;
    this.recorder.stream.consumed(read);
  }
}

class World {
  readonly ends = { client: new Endpoint('client'), server: new Endpoint('server') };
  readonly flows: Record<Side, Flow[]> = { client: [], server: [] };
  readonly #wires: Record<Side, Buffer> = { client: Buffer.alloc(0), server: Buffer.alloc(0) };

  constructor() {
    this.ends.server.whenStream = (stream, recorder) => {
      stream.sendHeaders({ status: 200, fields: [] });
      this.flows.server.push(new Flow(recorder, 100 + stream.id));
    };
    this.pump();
  }

  run(next: Step): void {
    if (next.kind === 'open') {
      const recorder = this.ends.client.tryOpen();
      if (recorder !== undefined) this.flows.client.push(new Flow(recorder, recorder.stream.id));
    } else if (next.kind === 'flush') this.flush(next.side);
    else if (next.kind === 'deliver') this.deliver(next.side, next.bytes);
    else if (next.kind === 'goaway') this.ends[next.side].connection.goaway();
    else {
      const flows = this.flows[next.side];
      const flow = flows[next.pick % Math.max(1, flows.length)];
      if (flow === undefined || flow.isOver) return;
      if (next.kind === 'consume') flow.read(next.bytes);
      else if (next.kind === 'reset') {
        flow.isReset = true;
        flow.recorder.stream.reset(H2.CANCEL);
      } else if (!flow.wantsEnd) {
        if (next.kind === 'write') flow.wanted += next.bytes;
        else flow.wantsEnd = true;
        flow.push();
      }
    }
    this.check();
  }

  flush(from: Side): void {
    if (this.ends[from].connection.outputBytes === 0) return;
    this.#wires[from] = Buffer.concat([this.#wires[from], this.ends[from].connection.takeOutput()]);
  }

  deliver(from: Side, count: number): void {
    const wire = this.#wires[from];
    this.#wires[from] = wire.subarray(count);
    this.ends[from === 'client' ? 'server' : 'client'].receive(wire.subarray(0, count));
  }

  /** Everything is delivered and read until nothing moves. */
  pump(): void {
    let moved = true;
    while (moved) {
      moved = false;
      for (const from of ['client', 'server'] as const) {
        for (const flow of this.flows[from]) flow.read(flow.unread);
        this.flush(from);
        moved ||= this.#wires[from].length > 0;
        this.deliver(from, this.#wires[from].length);
      }
    }
  }

  check(): void {
    for (const name of ['client', 'server'] as const) {
      expect(this.ends[name].failure).to.equal(undefined);
      for (const { unread } of this.flows[name]) expect(unread).to.be.at.most(STREAM_WINDOW_BYTES);
    }
    expect(this.#wires.client.length).to.be.at.most(CONNECTION_WINDOW_BYTES * 1.1);
  }

  /** By stream: both ends. */
  pairs(): { near: Flow; far: Flow | undefined }[] {
    return this.flows.client.map(near => ({
      near,
      far: this.flows.server.find(flow => flow.recorder.stream.id === near.recorder.stream.id),
    }));
  }
}

function isPrefix(received: Buffer, sender: Flow): boolean {
  return received.equals(sender.pattern(0, received.length)) && received.length <= sender.sent;
}

describe('tunnels between two connections', () => {
  it('carry every byte in order, within windows, without a deadlock', function () {
    this.timeout(60_000);
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), steps => {
        const world = new World();
        for (const next of [{ kind: 'open' } as const, ...steps]) world.run(next);
        world.pump();
        for (const { near, far } of world.pairs()) {
          if (far === undefined) {
            expect(near.isOver).to.equal(true);
            continue;
          }
          for (const [sender, receiver] of [[near, far] as const, [far, near] as const]) {
            const { received, events } = receiver.recorder;
            expect(isPrefix(received, sender)).to.equal(true);
            if (near.isOver || far.isOver) continue;
            expect(sender.sent).to.equal(sender.wanted);
            expect(received.length).to.equal(sender.wanted);
            expect(events.includes('end')).to.equal(sender.wantsEnd);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('all end when a connection drains, whoever starts it and whenever', function () {
    this.timeout(60_000);
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 30 }),
        side,
        fc.array(step, { maxLength: 30 }),
        (before, starter, after) => {
          const world = new World();
          for (const next of [...before, { kind: 'goaway', side: starter } as const, ...after]) {
            world.run(next);
          }
          for (const flow of [...world.flows.client, ...world.flows.server]) {
            flow.wantsEnd = true;
            flow.push();
          }
          world.pump();
          for (const flow of world.flows.server) {
            flow.wantsEnd = true;
            flow.push();
          }
          world.pump();
          expect(world.ends.client.end).to.deep.equal({ kind: 'drained' });
          for (const { near, far } of world.pairs()) {
            if (far === undefined || near.isOver || far.isOver) continue;
            expect(far.recorder.received.length).to.equal(near.wanted);
            expect(near.recorder.received.length).to.equal(far.wanted);
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
