import { expect } from 'chai';
import { socketWriter } from '../../src/runtime/socket-writer.ts';
import { eventually } from '../support/data-plane.ts';
import { type SocketPair, socketPair } from './socket-pair.ts';

/** More than the kernel's buffers of both ends hold. */
const MUCH = Buffer.from(Array.from({ length: 251 }, (_, i) => i)).toString('latin1');
const LARGE = Buffer.from(MUCH.repeat(64 * 1024), 'latin1');

for (const kind of ['tcp', 'tls'] as const) {
  describe(`a writer of a ${kind} socket`, () => {
    let pair: SocketPair;
    beforeEach(async () => {
      pair = await socketPair(kind);
    });
    afterEach(() => pair.close());

    it('writes bytes and latin1 text in their order, and ends after them', async () => {
      const writer = socketWriter(pair.accepted, () => undefined);
      writer.write('caf\u00e9 ');
      writer.write(Buffer.from('noir'));
      writer.write('');
      writer.end();
      expect((await everything(pair)).toString('latin1')).to.equal('caf\u00e9 noir');
    });

    it('says when what the kernel did not take at once is gone, and what follows waits for it', async () => {
      const drained = new Promise<void>(resolve => {
        const writer = socketWriter(pair.accepted, resolve);
        expect(writer.write(LARGE)).to.equal(false);
        expect(writer.pending).to.equal(true);
        expect(writer.write(Buffer.from('second'))).to.equal(false);
        expect(writer.write('third')).to.equal(false);
        writer.end();
      });
      const [bytes] = await Promise.all([everything(pair), drained]);
      expect(bytes.subarray(0, LARGE.length).equals(LARGE)).to.equal(true);
      expect(bytes.subarray(LARGE.length).toString()).to.equal('secondthird');
    });

    it('is not drained by a peer that goes away instead of reading, and then takes nothing', async () => {
      let drained = false;
      const writer = socketWriter(pair.accepted, () => {
        drained = true;
      });
      expect(writer.write(LARGE)).to.equal(false);
      writer.write('more');
      pair.caller.destroy();
      await eventually('the end is noticed', () => pair.accepted.destroyed);
      expect(drained).to.equal(false);
      expect(writer.write('late')).to.equal(true);
      writer.end();
    });
  });
}

async function everything({ caller }: SocketPair): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of caller) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
