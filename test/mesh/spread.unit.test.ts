import { expect } from 'chai';
import fc from 'fast-check';
import { type SpreadPolicy, type Standing, spreadOver } from '../../src/mesh/spread.ts';

const POLICY: SpreadPolicy = { panicBelowPercent: 50, overprovisioning: [140, 140, 140] };

/** `u`p, `e`jected, `d`own (not reachable); one word a priority. */
function level(priority: number, word: string): Standing[] {
  return Array.from(word, state => ({
    priority,
    weight: 1,
    availability: 1,
    isReachable: state !== 'd',
    isEjected: state === 'e',
  }));
}

function levels(words: string): Standing[] {
  return words.split(' ').flatMap((word, priority) => level(priority, word));
}

/** Percent of each endpoint, and of each level, `!` when it panics. */
function shown(endpoints: readonly Standing[], policy = POLICY): [shares: string, levels: string] {
  const spread = spreadOver(endpoints, policy);
  const percent = (share: number): string => String(Math.round(share * 100));
  return [
    spread.shares.map(percent).join(' '),
    spread.levels.map(each => `${percent(each.share)}${each.isPanicking ? '!' : ''}`).join(' '),
  ];
}

describe('the calls of an upstream', () => {
  for (const [title, endpoints, shares, loads] of [
    ['go to no one when there is no one', [], '', ''],
    ['are spread evenly over the best level', levels('uu u'), '50 50 0', '100 0'],
    // 3 of 4 are healthy: 105 %.
    ['stay while enough of the level is healthy', levels('uuud u'), '33 33 33 0 0', '100 0'],
    // 2 of 4: 70 %.
    ['spill in proportion once it is not', levels('uudd u'), '35 35 0 0 30', '70 30'],
    ['treat ejected as unhealthy', levels('uuee u'), '35 35 0 0 30', '70 30'],
    ['spill over several levels', levels('uddd ud u'), '35 0 0 0 65 0 0', '35 65 0'],
    ['leave a level without anyone healthy', levels('dd u'), '0 0 100', '0 100'],
    [
      'are scaled up when all levels together are too weak',
      levels('uuddd uuddd'),
      // 56 % and 56 %: together enough.
      '28 28 0 0 0 22 22 0 0 0',
      '56 44',
    ],
    [
      'go to the ejected too below the panic threshold',
      levels('ueeee ueeee'),
      '10 10 10 10 10 10 10 10 10 10',
      '50! 50!',
    ],
    [
      'stay with those in service above it',
      levels('uueed'),
      // 40 % is below, so make it 3 of 5.
      '25 25 25 25 0',
      '100!',
    ],
    ['never panic towards what cannot be reached', levels('uddd'), '100 0 0 0', '100!'],
    ['go to the best level when nobody can be reached', levels('dd d'), '50 50 0', '100! 0!'],
    ['go to the best level when all are ejected', levels('ee e'), '50 50 0', '100! 0!'],
  ] as const) {
    it(title, () => {
      expect(shown(endpoints)).to.deep.equal([shares, loads]);
    });
  }

  it('follow weights inside a level', () => {
    const [a, b] = level(0, 'uu') as [Standing, Standing];
    expect(shown([{ ...a, weight: 3 }, b])).to.deep.equal(['75 25', '100']);
  });

  it('move on with what is held back, from the first percent', () => {
    const [a, b] = levels('u u') as [Standing, Standing];
    expect(shown([{ ...a, availability: 0.9 }, b])).to.deep.equal(['90 10', '90 10']);
    expect(shown([{ ...a, availability: 0 }, b])).to.deep.equal(['0 100', '0 100']);
  });

  it('stay when there is nowhere to move to, whatever is held back', () => {
    const [a] = level(0, 'u') as [Standing];
    expect(shown([{ ...a, availability: 0.2 }])[0]).to.equal('100');
    expect(shown([{ ...a, availability: 0 }])[0]).to.equal('100');
  });

  it('favour the neighbour of one that is held back before the next level', () => {
    const [a, b] = level(0, 'uu') as [Standing, Standing];
    expect(shown([{ ...a, availability: 0.5 }, b, ...level(1, 'u')])[0]).to.equal('25 50 25');
  });

  it('spill earlier or later by the factor of the level', () => {
    const strict = { ...POLICY, overprovisioning: [100, 140] };
    expect(shown(levels('uuud u'), strict)[1]).to.equal('75 25');
    const lax = { ...POLICY, overprovisioning: [400, 140] };
    expect(shown(levels('uddd u'), lax)[1]).to.equal('100 0');
  });

  it('fail fast towards nobody ejected when the threshold is 0', () => {
    const noPanic = { ...POLICY, panicBelowPercent: 0 };
    expect(shown(levels('ueee'), noPanic)).to.deep.equal(['100 0 0 0', '100']);
  });

  it('always go somewhere, and sum to everything', () => {
    const standing = fc.record({
      priority: fc.integer({ min: 0, max: 3 }),
      weight: fc.integer({ min: 1, max: 1000 }),
      availability: fc.constantFrom(0, 0.1, 0.5, 1),
      isReachable: fc.boolean(),
      isEjected: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(standing, { minLength: 1, maxLength: 20 }), endpoints => {
        const { shares, levels: loads } = spreadOver(endpoints, POLICY);
        expect(shares.reduce((a, b) => a + b, 0)).to.be.closeTo(1, 1e-9);
        expect(loads.reduce((total, { share }) => total + share, 0)).to.be.closeTo(1, 1e-9);
        const isAnyReachable = endpoints.some(
          each => each.isReachable && each.availability > 0 && !each.isEjected,
        );
        if (isAnyReachable) {
          for (const [at, each] of endpoints.entries()) {
            if (!each.isReachable) expect(shares[at]).to.equal(0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
