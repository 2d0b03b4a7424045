import { expect } from 'chai';
import {
  isAnswering,
  isInService,
  nextPath,
  type PathEvent,
  type PathState,
  RETURN_MS,
} from '../../src/mesh/path.ts';

const T = 100_000;
const answered: PathEvent = { kind: 'answered', isDraining: false };
const silent: PathEvent = { kind: 'failed', reason: 'silent' };

const up: PathState = { kind: 'up', sinceMs: 1 };
const down: PathState = { kind: 'down', sinceMs: 1, reason: 'silent' };
const held: PathState = { kind: 'held', sinceMs: 1, answeringMs: T - 1 };

describe('a path to another cluster', () => {
  it('is dated from when it left service, whatever it does until it is back', () => {
    expect(nextPath(up, silent, T)).to.deep.equal({ kind: 'down', sinceMs: T, reason: 'silent' });
    expect(nextPath(down, silent, T)).to.equal(down);
    expect(nextPath(down, { kind: 'failed', reason: 'refused' }, T)).to.deep.equal({
      ...down,
      reason: 'refused',
    });
    expect(nextPath(down, answered, T)).to.deep.equal({ kind: 'held', sinceMs: 1, answeringMs: T });
    expect(nextPath(held, answered, T)).to.equal(held);
    expect(nextPath(held, silent, T)).to.deep.equal(down);
    const back = { ...held, answeringMs: T - RETURN_MS };
    expect(nextPath(back, answered, T)).to.deep.equal({ kind: 'up', sinceMs: T });
  });

  it('that breaks and answers every five seconds leaves service once, and is back when it stays', () => {
    let state: PathState = up;
    const changes: number[] = [];
    const feed = (event: PathEvent, atMs: number): void => {
      const after = nextPath(state, event, atMs);
      if (isInService(after) !== isInService(state)) changes.push(atMs);
      state = after;
    };
    for (let second = 0; second < 200; second++) {
      feed(Math.floor(second / 5) % 2 === 0 ? silent : answered, second * 1_000);
    }
    expect(changes).to.deep.equal([0]);
    for (let second = 200; second < 300; second++) feed(answered, second * 1_000);
    expect(changes).to.have.length(2);
    expect(changes[1]).to.equal(195_000 + RETURN_MS);
  });

  it('answers while it is held, so damping leaves a way', () => {
    expect(isAnswering(held) && !isInService(held)).to.equal(true);
    expect(isAnswering(down) || isInService(down)).to.equal(false);
  });
});
