import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RateLimit } from '../../src/cluster-agent/rate-limit.ts';

describe('RateLimit', () => {
  it('allows a burst, then as many a second as it says, and never saves up more', () => {
    let nowMs = 0;
    const limit = new RateLimit(2, 3, () => nowMs);
    const taken = (tries: number): number =>
      Array.from({ length: tries }, () => limit.take()).filter(Boolean).length;
    expect(taken(10)).to.equal(3);
    nowMs += 500;
    expect(taken(10)).to.equal(1);
    nowMs += 3_600_000;
    expect(taken(10)).to.equal(3);
    nowMs -= 1_000;
    expect(taken(10)).to.equal(0);
  });
});
