import { expect } from 'chai';
import { chooseOther } from '../../src/mesh/balancing.ts';

/** `u`p, `e`jected, `d`own, with their priority: `u0 d0 u1`. */
function other(candidates: string, tried: readonly number[], turn = 0): number {
  const list = candidates
    .split(' ')
    .filter(each => each !== '')
    .map(each => ({
      priority: Number(each.slice(1)),
      isReachable: !each.startsWith('d'),
      isEjected: each.startsWith('e'),
    }));
  return chooseOther(list, at => tried.includes(at), turn);
}

describe('the next try of a call', () => {
  for (const [title, candidates, tried, expected] of [
    ['is nobody of nobody', '', [], -1],
    ['is nobody when all were tried', 'u0 u0', [0, 1], -1],
    ['is one that was not tried', 'u0 u0 u1', [0], 1],
    ['is near before far', 'u2 u1 u0', [], 2],
    ['is in service far away before ejected at home', 'u0 e0 u1', [0], 2],
    ['is ejected before unreachable', 'u0 d0 e1', [0], 2],
    ['is even unreachable when nothing else is left', 'u0 d0 d1', [0], 1],
  ] as const) {
    it(title, () => {
      expect(other(candidates, tried)).to.equal(expected);
    });
  }

  it('is not the same neighbour for every call', () => {
    expect([0, 1, 2, 3].map(turn => other('u0 u0 u0 d0', [], turn))).to.deep.equal([0, 1, 2, 0]);
  });
});
