import { expect } from 'chai';
import type { ChannelOwner } from '../../src/sidecar/bytes/channel.ts';
import { StreamChannel } from '../../src/sidecar/bytes/stream-channel.ts';
import { H2 } from '../../src/wire/http2/error-codes.ts';
import type { Http2Stream } from '../../src/wire/http2/stream.ts';

/** Takes so many bytes, and writes down what it was given. */
class FakeStream implements Http2Stream {
  readonly id = 1;
  readonly state = 'open';
  room = Number.POSITIVE_INFINITY;
  written = '';
  resets: number[] = [];
  sendHeaders(): void {}
  write(data: Uint8Array | string): number {
    const accepted = Math.min(this.room, data.length);
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
    this.written += bytes.toString('latin1', 0, accepted);
    this.room -= accepted;
    return accepted;
  }
  end(): void {}
  reset(code: number): void {
    this.resets.push(code);
  }
  consumed(): void {}
}

function owner(told: string[], onData: (bytes: Buffer) => void = () => undefined): ChannelOwner {
  return {
    onData,
    onEnd: () => told.push('end'),
    onWritable: () => told.push('writable'),
    onBroken: untouched => told.push(untouched ? 'untouched' : 'broken'),
  };
}

describe('a stream of the tunnel as a channel', () => {
  let stream: FakeStream;
  let channel: StreamChannel;
  let told: string[];
  beforeEach(() => {
    stream = new FakeStream();
    channel = new StreamChannel();
    channel.open(stream);
    told = [];
  });

  for (const [code, word] of [
    [H2.CANCEL, 'broken'],
    [H2.REFUSED_STREAM, 'untouched'],
  ] as const) {
    it(`that was reset before anyone took it (${word}) is told so to who takes it, after the call`, async () => {
      channel.onReset(code);
      channel.attach(owner(told));
      expect(told).to.deep.equal([]);
      await Promise.resolve();
      expect(told).to.deep.equal([word]);
    });
  }

  it('that was not reset is not', async () => {
    channel.attach(owner(told));
    await Promise.resolve();
    expect(told).to.deep.equal([]);
  });

  it('keeps copies of text and bytes that there is no room for, in their order', () => {
    channel.attach(owner(told));
    stream.room = 3;
    const bytes = Buffer.alloc(20_000, 'b');
    expect(channel.send('caf\u00e9', bytes, 0, bytes.length, '!')).to.equal(false);
    bytes.fill('x');
    stream.room = Number.POSITIVE_INFINITY;
    channel.onWritable();
    expect(stream.written).to.equal(`caf\u00e9${'b'.repeat(20_000)}!`);
    expect(told).to.deep.equal(['writable']);
  });

  it('is reset by what its owner throws, which hears of it, and nobody else does', () => {
    channel.attach(
      owner(told, () => {
        throw new TypeError('a bug');
      }),
    );
    channel.onData(Buffer.from('hit'));
    expect(stream.resets).to.deep.equal([H2.INTERNAL_ERROR]);
    expect(told).to.deep.equal(['broken']);
  });
});
