import { expect } from 'chai';
import { nextLoad, type ToldLoad } from '../../src/mesh/load.ts';
import {
  NO_SPILL,
  nextSpill,
  SPILL_STEP_MS,
  type Spill,
  utilisationOf,
} from '../../src/mesh/load-spill.ts';
import { endpoint } from './mesh-nouns.ts';

describe('what goes elsewhere', () => {
  for (const [title, percent, own, others, expected] of [
    ['grows by a step when a cluster is nearly full and others have room', 0, 80, 30, 10],
    ['does not grow while there is room', 0, 79, 30, 0],
    ['does not grow when the others are filling up', 20, 120, 70, 20],
    ['shrinks when the others are full', 20, 120, 90, 10],
    ['stays while the cluster is between full and idle', 30, 60, 40, 30],
    ['shrinks when the cluster has room again', 30, 50, 40, 10],
    ['is never more than sixty percent', 60, 200, 10, 60],
    ['is never less than nothing', 10, 10, 10, 0],
    ['goes back when nothing is known of the cluster', 40, undefined, 10, 20],
    ['goes back when nothing is known of the others', 40, 200, undefined, 20],
  ] as const) {
    it(title, () => {
      const next = nextSpill({ percent, sinceMs: 0 }, { own, others }, SPILL_STEP_MS);
      expect(next.percent).to.equal(expected);
    });
  }

  it('moves one step in five seconds', () => {
    const first = nextSpill(NO_SPILL, { own: 200, others: 0 }, 1_000);
    expect(nextSpill(first, { own: 200, others: 0 }, 1_000 + SPILL_STEP_MS - 1)).to.equal(first);
  });
});

describe('how full a cluster is', () => {
  it('is the load of its endpoints by their capacity, and that of all others', () => {
    const found = utilisationOf(
      [
        { ...endpoint('east', 'a'), capacity: 300, load: 100 },
        { ...endpoint('east', 'b'), capacity: 100, load: 20 },
        { ...endpoint('east', 'unknown') },
        { ...endpoint('west', 'c'), capacity: 100, load: 10 },
        { ...endpoint('eu', 'd'), capacity: 100, load: 50 },
        { ...endpoint('stale', 'e'), capacity: 100, load: 90 },
      ],
      cluster => cluster !== 'stale',
    );
    expect(Object.fromEntries(found)).to.deep.equal({
      east: { own: 80, others: 30 },
      west: { own: 10, others: 74 },
      eu: { own: 50, others: 66 },
      stale: { own: undefined, others: (380 * 100) / 600 },
    });
  });
});

/**
 * Two clusters of the same capacity, east called `demand` percent of it and west `far`, second by second:
 * loads are reported every two seconds, told and acted on a second later.
 */
function simulate(demand: (second: number) => number, far = 0, seconds = 300) {
  let spill: Spill = NO_SPILL;
  const told: [east: ToldLoad | undefined, west: ToldLoad | undefined] = [undefined, undefined];
  const history: { east: number; west: number; spill: number }[] = [];
  for (let second = 0; second < seconds; second++) {
    const nowMs = second * 1_000;
    const moved = (demand(second) * spill.percent) / 100;
    const east = demand(second) - moved;
    const west = far + moved;
    history.push({ east, west, spill: spill.percent });
    if (second % 2 === 0) {
      told[0] = nextLoad(told[0], { inFlight: east, capacity: 100 }, nowMs);
      told[1] = nextLoad(told[1], { inFlight: west, capacity: 100 }, nowMs);
    } else {
      spill = nextSpill(spill, { own: told[0]?.load, others: told[1]?.load }, nowMs);
    }
  }
  return history;
}

describe('a cluster that is called for more than it can do', () => {
  for (const demand of [90, 100, 120, 140, 160]) {
    it(`of ${demand} % is relieved within a minute, without swinging, and the other stays below full`, () => {
      const settled = simulate(() => demand).slice(60);
      for (const { east, west } of settled) {
        expect(east).to.be.at.most(90);
        expect(west).to.be.at.most(90);
      }
      expect(new Set(settled.map(({ spill }) => spill)).size).to.equal(1);
    });
  }

  it('of more than both can do does not take the other down with it', () => {
    for (const { west } of simulate(() => 400)) expect(west).to.be.at.most(130);
    const settled = simulate(() => 250).slice(60);
    for (const { west } of settled) expect(west).to.be.at.most(100);
  });

  it('leaves a busy neighbour alone', () => {
    for (const { spill } of simulate(() => 200, 75)) expect(spill).to.equal(0);
  });

  it('is itself again within half a minute of the end of the rush', () => {
    const after = simulate(second => (second < 120 ? 150 : 40)).slice(150);
    for (const { spill } of after) expect(spill).to.equal(0);
  });

  it('does not swing when its calls come in waves', () => {
    const history = simulate(second => 100 + 30 * Math.sin(second / 20)).slice(60);
    let changes = 0;
    for (let i = 1; i < history.length; i++) {
      if (history[i]?.spill !== history[i - 1]?.spill) changes++;
    }
    expect(changes).to.be.at.most(12);
    for (const { west } of history) expect(west).to.be.at.most(90);
  });
});
