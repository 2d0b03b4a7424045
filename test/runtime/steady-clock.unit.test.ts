import { expect } from 'chai';
import { describe, it } from 'mocha';
import { steadyClock } from '../../src/runtime/steady-clock.ts';

const HOUR_MS = 3_600_000;

describe('a steady clock', () => {
  it('follows the wall clock forward, and goes on from where it was when that is set back', () => {
    let wallMs = 10 * HOUR_MS;
    let monotonicMs = 0;
    const pass = (ms: number): void => {
      wallMs += ms;
      monotonicMs += ms;
    };
    const steady = steadyClock(
      () => wallMs,
      () => monotonicMs,
    );
    pass(1_000);
    expect(steady()).to.equal(10 * HOUR_MS + 1_000);
    wallMs -= HOUR_MS;
    pass(1_000);
    expect(steady()).to.equal(10 * HOUR_MS + 2_000);
    wallMs += 2 * HOUR_MS;
    expect(steady()).to.equal(wallMs);
    pass(5_000);
    expect(steady()).to.equal(wallMs);
  });
});
