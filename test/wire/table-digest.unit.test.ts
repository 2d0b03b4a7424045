import { expect } from 'chai';
import fc from 'fast-check';
import { TableDigest } from '../../src/wire/table-digest.ts';

type Held = readonly (readonly [key: string, revision: bigint])[];

function digestOf(held: Held): bigint {
  const digest = new TableDigest();
  for (const [key, revision] of held) digest.toggle(key, revision);
  return digest.value;
}

const held = fc.uniqueArray(fc.tuple(fc.string(), fc.bigInt({ min: 1n, max: 1n << 60n })), {
  selector: ([key]) => key,
  maxLength: 30,
});

describe('the digest of a table', () => {
  it('does not depend on an order, and forgets what is taken out again', () => {
    fc.assert(
      fc.property(
        held,
        fc.string(),
        fc.bigInt({ min: 1n, max: 1n << 60n }),
        (rows, key, revision) => {
          expect(digestOf([...rows].reverse())).to.equal(digestOf(rows));
          const twice: Held = [...rows, [key, revision], [key, revision]];
          expect(digestOf(twice)).to.equal(digestOf(rows));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('differs when one record of thousands is missing or of another revision', () => {
    const rows: Held = Array.from({ length: 5_000 }, (_, i) => [
      `exports/east/shop/cart-${i}/0`,
      BigInt(1_000 + i),
    ]);
    const seen = new Set([digestOf(rows)]);
    for (let i = 0; i < 200; i++) {
      seen.add(digestOf(rows.filter((_, at) => at !== i)));
      seen.add(digestOf(rows.map(([key, at], j) => [key, j === i ? at + 1n : at])));
    }
    expect(seen.size).to.equal(401);
  });

  it('of nothing is zero', () => expect(digestOf([])).to.equal(0n));
});
