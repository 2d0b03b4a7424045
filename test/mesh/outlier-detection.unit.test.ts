import { expect } from 'chai';
import {
  type AnswerEvent,
  type AnswerHealth,
  EJECTION_FIRST_MS,
  FLAP_MS,
  GOOD,
  mayEject,
  nextAnswers,
  nextReachability,
  type Reachability,
  SLOW_START_MS,
  slowStart,
  TRIAL_FIRST_MS,
  UNTRIED,
} from '../../src/mesh/outlier-detection.ts';

/** Events at times, `f`ailed or `r`eached: `f0 r1000`. */
function after(events: string, jitter = 0, from: Reachability = UNTRIED): Reachability {
  return events.split(' ').reduce((state, each) => {
    const event = each.startsWith('f') ? 'failed' : 'reached';
    return nextReachability(state, event, Number(each.slice(1)), jitter);
  }, from);
}

/** For how long it stays out from its last event, or `in`. */
function trialIn(state: Reachability, lastMs: number): number | 'in' {
  return state.kind === 'in' ? 'in' : state.trialMs - lastMs;
}

describe('what cannot be reached', () => {
  it('goes out with the first failure and is tried again a second later', () => {
    const out = after('f5000');
    expect(out).to.include({ kind: 'out', sinceMs: 5_000, trialMs: 5_000 + TRIAL_FIRST_MS });
  });

  it('comes back with a trial that succeeds, not with time', () => {
    expect(after('r0 f1 r1001')).to.include({ kind: 'in', sinceMs: 1_001, flaps: 0 });
    expect(after('f0 f1000')).to.include({ kind: 'out', sinceMs: 0 });
  });

  it('is tried half as often with each trial that fails, down to every ten seconds', () => {
    const waits = [1_000, 3_000, 7_000, 15_000, 25_000, 35_000].map((_, i, all) => {
      const events = all.slice(0, i + 1).map(ms => `f${ms}`);
      return trialIn(after(`f0 ${events.join(' ')}`), all[i] ?? 0);
    });
    expect(waits).to.deep.equal([2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
  });

  it('is not judged twice by calls that were on their way together', () => {
    const out = after('f0');
    expect(nextReachability(out, 'failed', 10, 0)).to.equal(out);
    expect(nextReachability(out, 'reached', 10, 0)).to.equal(out);
  });

  it('changes nothing while it stays reachable', () => {
    const reached = nextReachability(UNTRIED, 'reached', 10, 0);
    expect(nextReachability(reached, 'reached', 20, 0)).to.equal(reached);
  });

  it('has not come back when it is reached for the first time: going out then is no flapping', () => {
    expect(trialIn(after('f0 r1000 f2000'), 2_000)).to.equal(TRIAL_FIRST_MS);
    expect(trialIn(after('f0 r1000 f2000 r3000 f4000'), 4_000)).to.equal(FLAP_MS);
  });

  it('stays out for half a minute when it goes out again within one, then twice as long', () => {
    const again = after('r0 f0 r1000 f2000');
    expect(trialIn(again, 2_000)).to.equal(FLAP_MS);
    expect(after('r31999', 0, again).kind).to.equal('out');
    expect(after('r32000', 0, again).kind).to.equal('in');
    expect(trialIn(after('r32000 f33000', 0, again), 33_000)).to.equal(2 * FLAP_MS);
  });

  it('is forgiven its flapping after half a minute in service', () => {
    expect(trialIn(after('r0 f0 r1000 f31000'), 31_000)).to.equal(TRIAL_FIRST_MS);
  });

  it('changes at most twice a minute however fast it flaps', () => {
    let state: Reachability = UNTRIED;
    let changes = 0;
    for (let nowMs = 0; nowMs < 600_000; nowMs += 250) {
      const isUp = Math.floor(nowMs / 5_000) % 2 === 1;
      const next = nextReachability(state, isUp ? 'reached' : 'failed', nowMs, 0);
      if (next.kind !== state.kind) changes++;
      state = next;
    }
    expect(changes).to.be.within(4, 20);
  });

  it('is tried up to a fifth earlier by jitter, and let back later when it flaps', () => {
    expect(trialIn(after('f0', 1), 0)).to.equal(800);
    expect(trialIn(after('r0 f0 r1000 f2000', 1), 2_000)).to.equal(1.2 * FLAP_MS);
  });
});

describe('what answers badly', () => {
  const rules = { ejectAfterFailures: 5, mayEject: true };

  /** `g`ood, `b`ad and `x` for broken off, a millisecond apart. */
  function answers(events: string, from: AnswerHealth = GOOD, startMs = 0): AnswerHealth {
    return Array.from(events).reduce((state, each, i) => {
      const event: AnswerEvent = each === 'g' ? 'good' : each === 'b' ? 'bad' : 'broken-off';
      return nextAnswers(state, event, rules, startMs + i, 0);
    }, from);
  }

  for (const [events, isEjected] of [
    ['bbbb', false],
    ['bbbbb', true],
    ['bbbbgbbbb', false],
    ['xxxx', false],
    ['xxxxx', true],
    ['xxxxgxxxx', false],
    // A bad answer is an answer; one broken off says nothing of the answers before.
    ['xxxxbxxxx', false],
    ['bbbbxb', true],
  ] as const) {
    it(`is ${isEjected ? '' : 'not '}ejected after ${events}`, () => {
      expect(answers(events).ejectedUntilMs > 0).to.equal(isEjected);
    });
  }

  it('is out for half a minute, and longer each time soon after', () => {
    const first = answers('bbbbb');
    expect(first.ejectedUntilMs).to.equal(4 + EJECTION_FIRST_MS);
    const second = answers('bbbbb', first, 40_000);
    expect(second.ejectedUntilMs).to.equal(40_004 + 2 * EJECTION_FIRST_MS);
    const late = answers('bbbbb', first, 400_000);
    expect(late.ejectedUntilMs).to.equal(400_004 + EJECTION_FIRST_MS);
  });

  it('is not judged by calls that were on their way when it was ejected', () => {
    const ejected = answers('bbbbb');
    expect(answers('bbbbbbbb', ejected, 100)).to.equal(ejected);
  });

  it('stays in service when the upstream cannot spare it, and goes once it can', () => {
    const scarce = { ...rules, mayEject: false };
    let state = GOOD;
    for (let i = 0; i < 9; i++) state = nextAnswers(state, 'bad', scarce, i, 0);
    expect(state.ejectedUntilMs).to.equal(GOOD.ejectedUntilMs);
    expect(nextAnswers(state, 'bad', rules, 10, 0).ejectedUntilMs).to.be.greaterThan(10);
  });

  it('costs nothing to tell that all is well', () => {
    expect(nextAnswers(GOOD, 'good', rules, 0, 0)).to.equal(GOOD);
  });
});

describe('how many may be ejected', () => {
  for (const [endpoints, percentMax, expected] of [
    [1, 50, 1],
    [2, 50, 1],
    [3, 50, 1],
    [4, 50, 2],
    [10, 50, 5],
    [10, 10, 1],
    [3, 0, 1],
    [3, 100, 3],
  ] as const) {
    it(`is ${expected} of ${endpoints} at ${percentMax} %`, () => {
      let ejected = 0;
      while (ejected < endpoints && mayEject(ejected, endpoints, percentMax)) ejected++;
      expect(ejected).to.equal(expected);
    });
  }
});

describe('slow start', () => {
  it('begins with a tenth and is over after ten seconds', () => {
    expect([0, 5_000, SLOW_START_MS, 60_000].map(ms => slowStart(100, 100 + ms))).to.deep.equal([
      0.1, 0.55, 1, 1,
    ]);
  });

  it('is not for what never was out', () => {
    expect(slowStart(Number.NEGATIVE_INFINITY, 0)).to.equal(1);
  });
});
