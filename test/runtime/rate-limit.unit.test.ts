import { expect } from 'chai';
import { describe, it } from 'mocha';
import { RateLimit, RateLimitByCaller } from '../../src/runtime/rate-limit.ts';

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

describe('RateLimitByCaller', () => {
  it('stops the caller that asks too often and no other', () => {
    const limit = new RateLimitByCaller({ perSecond: 1, burst: 2, callersMax: 10 }, () => 0);
    expect([limit.take('a'), limit.take('a'), limit.take('a')]).to.deep.equal([true, true, false]);
    expect(limit.take('b')).to.equal(true);
  });

  it('makes room by forgetting callers that have been quiet, and otherwise lets no new one in', () => {
    let nowMs = 0;
    const limits = { perSecond: 1, burst: 1, callersMax: 2 };
    const limit = new RateLimitByCaller(limits, () => nowMs);
    expect([limit.take('a'), limit.take('b')]).to.deep.equal([true, true]);
    expect(limit.take('c')).to.equal(false);
    nowMs += 1_000;
    expect(limit.take('c')).to.equal(true);
    expect(limit.take('a')).to.equal(true);
  });
});
