import { expect } from 'chai';
import { brakeWithdrawals } from '../../src/mesh/withdrawal.ts';
import { endpoint, service } from './mesh-nouns.ts';

const pods = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => endpoint('west', `payments-${from + i}`));
const payments = (count: number, from = 0) => service('payments', pods(count, from));

function kept(vouched: number, after: number, from = 0): number {
  const { exports } = brakeWithdrawals([payments(vouched)], [payments(after, from)]);
  return exports[0]?.endpoints.length ?? 0;
}

describe('the withdrawal brake', () => {
  it('lets half of a service go, and holds one more than half', () => {
    expect(kept(10, 5)).to.equal(5);
    expect(kept(10, 4)).to.equal(10);
    expect(kept(1, 0)).to.equal(1);
    expect(kept(2, 1)).to.equal(1);
  });

  it('names what it holds', () => {
    const { held } = brakeWithdrawals([payments(3)], [payments(1)]);
    expect(held).to.deep.equal([
      { service: 'shop/payments', endpoints: ['payments-1', 'payments-2'] },
    ]);
    expect(brakeWithdrawals([payments(3)], [payments(2)]).held).to.deep.equal([]);
  });

  it('holds a service that is gone altogether, and no other', () => {
    const { exports, held } = brakeWithdrawals(
      [payments(2), service('ledger', pods(1))],
      [service('ledger', pods(1))],
    );
    expect(exports.map(({ name }) => name)).to.deep.equal(['ledger', 'payments']);
    expect(held.map(each => each.service)).to.deep.equal(['shop/payments']);
  });

  it('compares with what was vouched for, so many small steps are one big one', () => {
    expect(kept(10, 6)).to.equal(6);
    expect(kept(10, 3)).to.equal(10);
  });

  it('lets what is new in beside what it holds, and takes a moved endpoint as it is now', () => {
    expect(kept(10, 10, 10)).to.equal(20);
    const moved = { ...endpoint('west', 'payments-0'), address: { host: 'new', port: 1 } };
    const { exports } = brakeWithdrawals([payments(3)], [service('payments', [moved])]);
    expect(exports[0]?.endpoints[0]).to.deep.equal(moved);
    expect(exports[0]?.endpoints).to.have.length(3);
  });
});
