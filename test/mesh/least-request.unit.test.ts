import { expect } from 'chai';
import { LeastRequest } from '../../src/mesh/least-request.ts';

/** Numbers that look drawn and are the same each time (Lehmer). */
function draws(): () => number {
  let seed = 42;
  return () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
}

function chosen(
  inFlight: readonly number[],
  shares: readonly number[],
  count: number,
  priorities: readonly number[] = inFlight.map(() => 0),
): number[] {
  const members = inFlight.map(each => ({ inFlight: each }));
  const levels = priorities.map(priority => ({ priority }));
  const choice = new LeastRequest(members, levels, shares, draws());
  const counts = inFlight.map(() => 0);
  for (let i = 0; i < count; i++) {
    const member = choice.next();
    counts[member] = (counts[member] ?? 0) + 1;
  }
  return counts;
}

describe('the least busy of two', () => {
  it('is the one with fewer requests in flight', () => {
    const [busy = 0, idle = 0] = chosen([9, 0], [0.5, 0.5], 1_000);
    // Only when both draws are the busy one.
    expect(busy).to.be.closeTo(250, 60);
    expect(busy + idle).to.equal(1_000);
  });

  it('is anyone when all are as busy', () => {
    for (const count of chosen([3, 3, 3, 3], [0.25, 0.25, 0.25, 0.25], 4_000)) {
      expect(count).to.be.closeTo(1_000, 150);
    }
  });

  it('counts what is in flight against the weight', () => {
    const [heavy = 0, light = 0] = chosen([2, 2], [0.75, 0.25], 1_000);
    expect(heavy).to.be.greaterThan(light * 3);
  });

  it('is never one without a share, and nobody of nobody', () => {
    expect(chosen([0, 0], [0, 1], 100)).to.deep.equal([0, 100]);
    expect(new LeastRequest([], [], [], () => 0).next()).to.equal(-1);
  });

  it('leaves the share of a level alone, however busy the level is', () => {
    const counts = chosen([50, 50, 0], [0.35, 0.35, 0.3], 1_000, [0, 0, 1]);
    expect(counts[2]).to.be.closeTo(300, 1);
  });

  it('evens out what is in flight better than chance', () => {
    const members = Array.from({ length: 10 }, () => ({ inFlight: 0 }));
    const random = draws();
    const choice = new LeastRequest(
      members,
      members.map(() => ({ priority: 0 })),
      members.map(() => 0.1),
      random,
    );
    for (let i = 0; i < 1_000; i++) {
      const member = members[choice.next()];
      if (member !== undefined) member.inFlight++;
    }
    const counts = members.map(({ inFlight }) => inFlight);
    expect(Math.max(...counts) - Math.min(...counts)).to.be.at.most(6);
  });
});
