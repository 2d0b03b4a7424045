import { expect } from 'chai';
import { RetryBudget } from '../../src/mesh/retry-budget.ts';

function calls(budget: RetryBudget, count: number): void {
  for (let i = 0; i < count; i++) budget.countCall();
}

/** How many retries it grants at once. */
function granted(budget: RetryBudget, nowMs: number, wanted = 100_000): number {
  let count = 0;
  while (count < wanted && budget.take(nowMs)) count++;
  return count;
}

describe('the retries of an upstream', () => {
  it('are ten a second when there are no calls', () => {
    expect(granted(new RetryBudget(0), 0)).to.equal(100);
  });

  it('are a fifth of the calls of ten seconds beside that', () => {
    const budget = new RetryBudget(0);
    calls(budget, 1_000);
    expect(granted(budget, 5_000)).to.equal(300);
    expect(granted(budget, 9_000)).to.equal(0);
  });

  it('are not saved up for longer', () => {
    const budget = new RetryBudget(0);
    calls(budget, 1_000);
    expect(granted(budget, 10_000)).to.equal(100);
  });

  it('that were made ten seconds ago are forgotten', () => {
    const budget = new RetryBudget(0);
    granted(budget, 0);
    expect(granted(budget, 9_999)).to.equal(0);
    expect(granted(budget, 10_000)).to.equal(100);
  });

  it('never exceed 1.2 attempts a call and ten a second when every call fails', () => {
    const budget = new RetryBudget(0);
    let retries = 0;
    for (let second = 0; second < 100; second++) {
      budget.advance(second * 1_000);
      for (let i = 0; i < 50; i++) {
        budget.countCall();
        if (budget.take(second * 1_000)) retries++;
      }
    }
    expect(retries).to.be.at.most(0.2 * 5_000 + 10 * 110);
    expect(retries).to.be.at.least(0.2 * 5_000 + 10 * 90);
  });

  it('survive a clock that jumps', () => {
    const budget = new RetryBudget(1_000_000);
    calls(budget, 1_000);
    budget.advance(900_000);
    expect(granted(budget, 900_000)).to.equal(300);
    expect(granted(budget, 1e12)).to.equal(100);
  });
});
