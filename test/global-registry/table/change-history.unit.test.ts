import { expect } from 'chai';
import type { Revision } from '../../../src/global-registry/store/store.ts';
import { bytesOf, ChangeHistory } from '../../../src/global-registry/table/change-history.ts';

const revision = (number: number, bytes = 1): Revision => ({
  revision: BigInt(number),
  events: [
    {
      kind: 'put',
      entry: {
        key: '',
        value: Buffer.alloc(bytes),
        revision: BigInt(number),
        created: 1n,
        leaseId: undefined,
      },
    },
  ],
});
const after = (history: ChangeHistory<Revision>, number: number): number[] | undefined =>
  history.after(BigInt(number))?.map(held => Number(held.revision));

const historyOf = (floor: bigint, revisionsMax: number, bytesMax: number) =>
  new ChangeHistory<Revision>(floor, {
    revisionsMax,
    bytesMax,
    bytesOf: ({ events }) => bytesOf(events),
  });

describe('change history', () => {
  it('gives each reader what followed its revision, gaps in the numbering included', () => {
    const history = historyOf(10n, 10, 1000);
    for (const number of [12, 13, 20]) history.push(revision(number));
    expect(after(history, 10)).to.deep.equal([12, 13, 20]);
    expect(after(history, 12)).to.deep.equal([13, 20]);
    expect(after(history, 15)).to.deep.equal([20]);
    expect(after(history, 20)).to.deep.equal([]);
  });

  it('sends readers from before its beginning or after its end back to the start', () => {
    const history = historyOf(10n, 10, 1000);
    history.push(revision(11));
    expect(after(history, 9)).to.equal(undefined);
    expect(after(history, 12)).to.equal(undefined);
  });

  it('forgets the oldest revisions beyond its count', () => {
    const history = historyOf(0n, 3, 1000);
    for (let i = 1; i <= 5; i++) history.push(revision(i));
    expect(after(history, 1)).to.equal(undefined);
    expect(after(history, 2)).to.deep.equal([3, 4, 5]);
  });

  it('forgets the oldest revisions beyond its bytes, but never the newest', () => {
    const history = historyOf(0n, 100, 100);
    history.push(revision(1, 60));
    history.push(revision(2, 60));
    expect(after(history, 0)).to.equal(undefined);
    expect(after(history, 1)).to.deep.equal([2]);
    history.push(revision(3, 500));
    expect(after(history, 2)).to.deep.equal([3]);
  });

  it('wakes its readers at a push, at their abort, after their time and when it closes', async () => {
    const history = historyOf(0n, 3, 1000);
    const stop = new AbortController();
    const pushed = history.changed(stop.signal);
    history.push(revision(1));
    await pushed;
    const aborted = history.changed(stop.signal);
    stop.abort();
    await aborted;
    await history.changed(new AbortController().signal, 1);
    const closed = history.changed(new AbortController().signal);
    history.close();
    await closed;
    await history.changed(new AbortController().signal);
    expect(after(history, 1)).to.equal(undefined);
  });
});
