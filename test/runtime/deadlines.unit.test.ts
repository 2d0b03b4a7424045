import { expect } from 'chai';
import { Deadlines } from '../../src/runtime/deadlines.ts';

describe('a deadline that many things share', () => {
  let nowMs: number;
  let due: string[];
  let timers: { readonly at: number; readonly run: () => void }[];
  let deadlines: Deadlines<string>;
  beforeEach(() => {
    nowMs = 0;
    due = [];
    timers = [];
    deadlines = new Deadlines<string>({
      waitMs: 100,
      now: () => nowMs,
      setTimer: (run, ms) => {
        const timer = { at: nowMs + ms, run };
        timers.push(timer);
        return () => void timers.splice(timers.indexOf(timer), 1);
      },
      onDue: item => due.push(item),
    });
  });

  function advance(ms: number): void {
    const end = nowMs + ms;
    for (;;) {
      const [next] = [...timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      timers.splice(timers.indexOf(next), 1);
      nowMs = next.at;
      next.run();
    }
    nowMs = end;
  }

  it('passes for each when its own wait is over, with one timer', () => {
    deadlines.add('first');
    advance(60);
    deadlines.add('second');
    expect(timers).to.have.length(1);
    advance(39);
    expect(due).to.deep.equal([]);
    advance(1);
    expect(due).to.deep.equal(['first']);
    advance(60);
    expect(due).to.deep.equal(['first', 'second']);
    expect(timers).to.have.length(0);
  });

  it('does not pass for what was taken out, and does for what was put in again', () => {
    deadlines.add('gone');
    deadlines.add('back');
    deadlines.delete('gone');
    deadlines.delete('back');
    advance(50);
    deadlines.add('back');
    advance(99);
    expect(due).to.deep.equal([]);
    advance(1);
    expect(due).to.deep.equal(['back']);
  });

  it('takes what is put in while it passes', () => {
    deadlines = new Deadlines({
      waitMs: 10,
      now: () => nowMs,
      setTimer: (run, ms) => {
        timers.push({ at: nowMs + ms, run });
        return () => undefined;
      },
      onDue: item => {
        due.push(item);
        if (due.length < 3) deadlines.add(`${item}+`);
      },
    });
    deadlines.add('a');
    advance(100);
    expect(due).to.deep.equal(['a', 'a+', 'a++']);
  });

  it('forgets everything, its timer too, when it is cleared', () => {
    deadlines.add('first');
    deadlines.clear();
    expect(timers).to.have.length(0);
    advance(1000);
    expect(due).to.deep.equal([]);
  });
});
