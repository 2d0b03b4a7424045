import { expect } from 'chai';
import { LOAD_CHANGE_MS_MIN, nextLoad, type ToldLoad } from '../../src/mesh/load.ts';

function told(load: number, sinceMs = 0): ToldLoad {
  return { load, sinceMs };
}

describe('the load that is told of an endpoint', () => {
  for (const [before, inFlight, afterMs, expected] of [
    [undefined, 37, 0, 40],
    [undefined, 0, 0, 0],
    [undefined, 100_000, 0, 250],
    [40, 49, LOAD_CHANGE_MS_MIN, 40],
    [40, 50, LOAD_CHANGE_MS_MIN, 50],
    [40, 31, LOAD_CHANGE_MS_MIN, 40],
    [40, 30, LOAD_CHANGE_MS_MIN, 30],
    [40, 90, LOAD_CHANGE_MS_MIN - 1, 40],
    [40, 90, LOAD_CHANGE_MS_MIN, 90],
  ] as const) {
    it(`is ${expected} % of 100 with ${inFlight} in flight, ${afterMs} ms after ${before} %`, () => {
      const state = before === undefined ? undefined : told(before);
      expect(nextLoad(state, { inFlight, capacity: 100 }, afterMs).load).to.equal(expected);
    });
  }

  it('does not change with a load that trembles on an edge', () => {
    let state: ToldLoad | undefined;
    let changes = 0;
    for (let second = 0; second < 100; second++) {
      const inFlight = 45 + (second % 2 === 0 ? 4 : -4);
      const next = nextLoad(state, { inFlight, capacity: 100 }, second * 1_000);
      if (next !== state) changes++;
      state = next;
    }
    expect(changes).to.equal(1);
  });
});
