import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  latencyFigures,
  median,
  medianFigures,
  nest,
  percentile,
  ratio,
} from '../../bench/figures.ts';

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  for (const [share, expected] of [
    [0, 1],
    [0.5, 50],
    [0.99, 99],
    [0.999, 100],
    [1, 100],
  ] as const) {
    it(`${share} of 1 to 100 is ${expected}`, () => {
      expect(percentile(hundred, share)).to.equal(expected);
    });
  }

  it('of one value is that value, whatever the share', () => {
    expect(percentile([7], 0.001)).to.equal(7);
    expect(percentile(Float64Array.of(7), 0.999)).to.equal(7);
  });

  it('of nothing is not a number', () => {
    expect(percentile([], 0.5)).to.be.NaN;
  });
});

describe('latencyFigures', () => {
  it('says in microseconds what half, nearly all and all of them stayed below', () => {
    const thousand = Array.from({ length: 1_000 }, (_, index) => 1_000 - index);
    expect(latencyFigures(thousand)).to.deep.equal({
      p50Us: 500_000,
      p99Us: 990_000,
      p999Us: 999_000,
      maxUs: 1_000_000,
    });
  });
});

describe('median', () => {
  it('is the middle one of an odd number of values, in any order', () => {
    expect(median([30, 1, 2])).to.equal(2);
  });

  it('is the mean of the middle two of an even number', () => {
    expect(median([10, 1, 2, 4])).to.equal(3);
  });

  it('does not disturb the values', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).to.deep.equal([3, 1, 2]);
  });

  it('of nothing is not a number', () => {
    expect(median([])).to.be.NaN;
  });
});

describe('medianFigures', () => {
  it('takes each figure by itself, over the rounds that have it', () => {
    expect(medianFigures([{ rps: 3, p99Us: 10 }, { rps: 1, p99Us: 30 }, { rps: 2 }])).to.deep.equal(
      { rps: 2, p99Us: 20 },
    );
  });

  it('of no round has no figures', () => {
    expect(medianFigures([])).to.deep.equal({});
  });
});

describe('ratio', () => {
  it('is ours over theirs, to three digits', () => {
    expect(ratio(2000, 3000)).to.equal(0.667);
    expect(ratio(3000, 2000)).to.equal(1.5);
  });

  it('says nothing when one is missing or not above zero', () => {
    expect(ratio(undefined, 1)).to.equal(undefined);
    expect(ratio(1, undefined)).to.equal(undefined);
    expect(ratio(1, 0)).to.equal(undefined);
    expect(ratio(1, -5)).to.equal(undefined);
    expect(ratio(-5, 1)).to.equal(undefined);
    expect(ratio(Number.NaN, 1)).to.equal(undefined);
  });
});

describe('nest', () => {
  it('groups dotted names and leaves plain ones', () => {
    expect(nest({ rps: 1, 'cpuUs.out': 2, 'cpuUs.in': 3, 'memory.out.rssMb': 4 })).to.deep.equal({
      rps: 1,
      cpuUs: { out: 2, in: 3 },
      memory: { out: { rssMb: 4 } },
    });
  });
});
