import { expect } from 'chai';
import type { Outcome } from '../../../bench/failover/load.ts';
import { count, kinds, movedAfterMs } from '../../../bench/failover/result.ts';

function outcome(sentMs: number, tookMs: number, more: Partial<Outcome> = {}): Outcome {
  const base = { isIdempotent: true, servedBy: 'a', through: undefined, failure: undefined };
  return { ...base, sentMs, doneMs: sentMs + tookMs, ...more };
}
const FAILED = { failure: 'status 502', servedBy: undefined };

describe('the failover benchmark', () => {
  it('takes calls for moved when the last one was sent that failed or took long', () => {
    const outcomes = [outcome(900, 10), outcome(1_200, 900), outcome(1_700, 5, FAILED)];
    expect(movedAfterMs(outcomes, 1_000, 9_000)).to.equal(700);
    expect(movedAfterMs([outcome(900, 900)], 1_000, 9_000), 'sent before the fault').to.equal(0);
    expect(movedAfterMs([outcome(900, 10, FAILED)], 1_000, 9_000), 'done before it').to.equal(0);
    expect(movedAfterMs([outcome(9_500, 900)], 1_000, 9_000), 'sent after its end').to.equal(0);
  });

  it('counts each failure once, by its kind, and those that were idempotent', () => {
    const outcomes = [
      outcome(0, 1),
      outcome(1, 1, FAILED),
      outcome(2, 1, { ...FAILED, isIdempotent: false }),
    ];
    expect(count(outcomes)).to.deep.equal({ sent: 3, failed: 2, failedIdempotent: 1 });
    expect(kinds(outcomes)).to.deep.equal({ 'status 502': 2 });
  });
});
