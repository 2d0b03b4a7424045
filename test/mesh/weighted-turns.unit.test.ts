import { expect } from 'chai';
import fc from 'fast-check';
import { WeightedTurns } from '../../src/mesh/weighted-turns.ts';

function turns(weights: readonly number[], count: number): string {
  const each = new WeightedTurns(weights);
  return Array.from({ length: count }, () => each.next()).join(' ');
}

describe('turns by weight', () => {
  for (const [title, weights, expected] of [
    ['go round in order when all weigh the same', [1, 1, 1], '0 1 2 0 1 2 0'],
    ['are spread evenly, not bunched', [5, 1, 1], '0 0 0 1 2 0 0'],
    ['are never of an entry without weight', [0, 1, 0], '1 1 1 1 1 1 1'],
    ['are nobody of nobody', [], '-1 -1 -1 -1 -1 -1 -1'],
    ['are nobody when none has weight', [0, 0], '-1 -1 -1 -1 -1 -1 -1'],
  ] as const) {
    it(title, () => {
      expect(turns(weights, 7)).to.equal(expected);
    });
  }

  it('begin anywhere, when that is drawn', () => {
    let draw = 0;
    const phases = [0.9, 0.1, 0.5];
    const each = new WeightedTurns([1, 1, 1], () => phases[draw++] ?? 0);
    expect([each.next(), each.next(), each.next()]).to.deep.equal([1, 2, 0]);
  });

  // Each stands within half a turn of where its weight says, and the count of all within half of each.
  it('give each its share of any number, to within a turn and its part of half a turn of each', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 400 }),
        (weights, count) => {
          const total = weights.reduce((a, b) => a + b, 0);
          fc.pre(total > 0);
          const each = new WeightedTurns(weights);
          const had = weights.map(() => 0);
          for (let i = 0; i < count; i++) {
            const entry = each.next();
            had[entry] = (had[entry] ?? 0) + 1;
          }
          for (const [entry, weight] of weights.entries()) {
            const share = weight / total;
            const off = 1.000001 + (share * weights.length) / 2;
            expect(had[entry]).to.be.closeTo(count * share, off);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
