import { expect } from 'chai';
import { describe, it } from 'mocha';
import { aborted, Backoff, sleep, supervise, type Task } from '../../src/runtime/supervise.ts';

describe('a supervisor', () => {
  /** A task that notes its end and, when aborted, does so only after `turns` more turns. */
  function task(name: string, ended: string[], turns = 0): Task {
    return {
      name,
      run: async signal => {
        await aborted(signal);
        for (let i = 0; i < turns; i++) await Promise.resolve();
        ended.push(name);
      },
    };
  }

  it('resolves after abort, once every task has settled', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const running = supervise([task('slow', ended, 50), task('quick', ended)], stop.signal);
    stop.abort();
    await running;
    expect(ended).to.deep.equal(['quick', 'slow']);
  });

  it('aborts what is to be last only when the others have settled, or one has failed', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const last = { ...task('last', ended), isLast: true };
    const running = supervise([last, task('slow', ended, 50)], stop.signal);
    stop.abort();
    await running;
    expect(ended).to.deep.equal(['slow', 'last']);
    const failing: Task = { name: 'failing', run: () => Promise.reject(new Error('no')) };
    const failed = supervise([last, failing], new AbortController().signal);
    expect(await failed.catch((error: unknown) => error)).to.have.property('message', 'no');
  });

  it('aborts the others when one task fails, and rejects with its error after they settled', async () => {
    const ended: string[] = [];
    const failing: Task = { name: 'failing', run: () => Promise.reject(new Error('cannot go on')) };
    const error: unknown = await supervise(
      [task('a', ended, 10), failing, task('b', ended)],
      new AbortController().signal,
    ).catch((caught: unknown) => caught);
    expect(error).to.have.property('message', 'cannot go on');
    expect(ended).to.deep.equal(['b', 'a']);
  });

  it('rejects with the first failure when the abort makes others fail too', async () => {
    const first: Task = { name: 'first', run: () => Promise.reject(new Error('first')) };
    const second: Task = {
      name: 'second',
      run: async signal => {
        await aborted(signal);
        throw new Error('second');
      },
    };
    const error: unknown = await supervise([second, first], new AbortController().signal).catch(
      (caught: unknown) => caught,
    );
    expect(error).to.have.property('message', 'first');
  });

  it('lets the others run on when one task is done', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const done: Task = { name: 'done', run: () => Promise.resolve() };
    const running = supervise([done, task('a', ended)], stop.signal);
    await Promise.resolve();
    expect(ended).to.deep.equal([]);
    stop.abort();
    await running;
    expect(ended).to.deep.equal(['a']);
  });

  it('starts tasks already aborted when its own signal is', async () => {
    const ended: string[] = [];
    await supervise([task('a', ended)], AbortSignal.abort());
    expect(ended).to.deep.equal(['a']);
  });
});

describe('a sleep', () => {
  it('ends at once when aborted before or during it', async () => {
    const stop = new AbortController();
    const sleeping = sleep(1_000_000, stop.signal);
    stop.abort();
    await sleeping;
    await sleep(1_000_000, stop.signal);
  });
});

describe('a backoff', () => {
  it('doubles from the first wait to the longest and stays there', () => {
    const backoff = new Backoff(100, 1500, () => 1);
    expect(Array.from({ length: 6 }, () => backoff.next())).to.deep.equal([
      100, 200, 400, 800, 1500, 1500,
    ]);
  });

  it('waits at least half of that, by the random number given', () => {
    const backoff = new Backoff(100, 1000, () => 0);
    expect([backoff.next(), backoff.next()]).to.deep.equal([50, 100]);
  });

  it('begins anew after a reset', () => {
    const backoff = new Backoff(100, 1000, () => 1);
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.next()).to.equal(100);
  });

  it('stays finite after any number of failures', () => {
    const backoff = new Backoff(1, 60_000, () => 1);
    for (let i = 0; i < 5000; i++) backoff.next();
    expect(backoff.next()).to.equal(60_000);
  });
});
