import { expect } from 'chai';
import fc from 'fast-check';
import { readClientHello } from '../../src/wire/client-hello.ts';
import { cut, handshake, records, serverName, vector16 } from './client-hello-bytes.ts';

const KINDS = ['incomplete', 'found', 'refused'];

describe('readClientHello, on any bytes,', () => {
  it('answers and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), noise => {
        expect(readClientHello(noise).kind).to.be.oneOf(KINDS);
        expect(readClientHello(records(noise)).kind).to.be.oneOf(KINDS);
      }),
      { numRuns: 1000 },
    );
  });

  it('answers and never throws when some bytes of a good hello are changed', () => {
    const good = records(handshake());
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), changes => {
        const bytes = Buffer.from(good);
        for (const [offset, value] of changes) bytes[offset] = value;
        expect(readClientHello(bytes).kind).to.be.oneOf(KINDS);
      }),
      { numRuns: 1000 },
    );
  });

  it('sees only the bytes it was given, not those behind them in the same buffer', () => {
    const good = records(handshake());
    fc.assert(
      fc.property(fc.nat(good.length - 1), length => {
        const alone = Buffer.from(good.subarray(0, length));
        expect(readClientHello(good.subarray(0, length))).to.deep.equal(readClientHello(alone));
      }),
      { numRuns: 300 },
    );
  });

  it('finds the same name in any hello, cut into any records', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,254}$/);
    fc.assert(
      fc.property(name, fc.integer({ min: 1, max: 20 }), (text, count) => {
        const message = handshake({ extensions: vector16(serverName(text)) });
        expect(readClientHello(records(...cut(message, count)))).to.deep.equal({
          kind: 'found',
          serverName: text,
        });
      }),
      { numRuns: 500 },
    );
  });
});
