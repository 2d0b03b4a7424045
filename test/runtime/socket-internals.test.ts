import { once } from 'node:events';
import { expect } from 'chai';
import { giveOnread, socketAccess } from '../../src/runtime/socket-internals.ts';
import { eventually } from '../support/data-plane.ts';
import { type SocketPair, socketPair } from './socket-pair.ts';

const isPublic = process.env['ISTHMUS_SOCKETS'] === 'public';

describe('access to sockets', () => {
  it('is below the public API where it was tried, unless asked not to be', () => {
    expect(socketAccess).to.equal(isPublic ? 'public' : 'handles');
  });
});

for (const kind of ['tcp', 'tls'] as const) {
  describe(`a ${kind} socket that was given a buffer to read into`, () => {
    let pair: SocketPair;
    const buffers = [Buffer.alloc(4), Buffer.alloc(8)];
    let seen: string[];
    let next: number;
    beforeEach(async () => {
      pair = await socketPair(kind);
      seen = [];
      next = 0;
    });
    afterEach(() => pair.close());

    /** One buffer after the other; what the public API tells is cut up the same. */
    function read(): boolean {
      const { accepted } = pair;
      const given = giveOnread(accepted, {
        buffer: () => buffers[next++ % buffers.length] as Buffer,
        callback: (length, buffer) => {
          seen.push(Buffer.from(buffer.subarray(0, length)).toString());
          return true;
        },
      });
      accepted.on('data', (bytes: Buffer) => seen.push(bytes.toString()));
      return given;
    }

    it('is told everything in order, and the end', async () => {
      expect(read()).to.equal(!isPublic);
      const ended = once(pair.accepted, 'end');
      pair.caller.end('abcdefghijklmnopqrstuvwxyz');
      await ended;
      expect(seen.join('')).to.equal('abcdefghijklmnopqrstuvwxyz');
      if (!isPublic) expect(seen.slice(0, 3)).to.deep.equal(['abcd', 'efghijkl', 'mnop']);
    });

    it('is told nothing while paused, and the rest afterwards', async () => {
      read();
      pair.caller.write('first');
      await eventually('the first is read', () => seen.join('') === 'first');
      pair.accepted.pause();
      pair.caller.write('second');
      // A round trip the other way: by then the second has arrived here.
      pair.accepted.write('reply');
      await once(pair.caller, 'data');
      expect(seen.join('')).to.equal('first');
      pair.accepted.resume();
      await eventually('the second is read', () => seen.join('') === 'firstsecond');
    });
  });
}
