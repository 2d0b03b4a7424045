import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { Figures } from '../../bench/figures.ts';
import { type RatioRule, type Result, ratiosOf, toJson, withAdded } from '../../bench/results.ts';

function result(system: string, figures: Figures, failure?: string): Result {
  return {
    path: 'chain',
    scenario: 'c50',
    system,
    connections: 50,
    figures,
    ...(failure === undefined ? {} : { failure }),
  };
}

const RULES: readonly RatioRule[] = [
  { name: 'rps50', figure: 'rps', better: 'higher' },
  { name: 'p99', figure: 'p99Us', better: 'lower' },
];

describe('ratiosOf', () => {
  it('compares ours with every peer, figure by figure', () => {
    const results = [
      result('isthmus', { rps: 80, p99Us: 100 }),
      result('haproxy', { rps: 40, p99Us: 200 }),
      result('nginx', { rps: 100, p99Us: 50 }),
    ];
    expect(ratiosOf(results, RULES)).to.deep.equal({
      'rps50.haproxy': 2,
      'rps50.nginx': 0.8,
      'p99.haproxy': 0.5,
      'p99.nginx': 2,
    });
  });

  it('leaves out a peer that failed and the direct run', () => {
    const results = [
      result('isthmus', { rps: 80 }),
      result('haproxy', { rps: 40 }, 'wrk: 1 status'),
      result('nginx', { rps: 40 }),
      result('direct', { rps: 400 }),
    ];
    expect(ratiosOf(results, RULES)).to.deep.equal({ 'rps50.nginx': 2 });
  });

  it('gives none when ours failed or did not run', () => {
    expect(
      ratiosOf([result('isthmus', { rps: 80 }, 'closed'), result('nginx', { rps: 1 })], RULES),
    ).to.deep.equal({});
    expect(ratiosOf([result('nginx', { rps: 40 })], RULES)).to.deep.equal({});
  });
});

describe('withAdded', () => {
  it('takes the direct run from each system, and leaves the direct run alone', () => {
    const added = withAdded(
      [result('isthmus', { p99Us: 300 }), result('direct', { p99Us: 100 })],
      'p99Us',
    );
    expect(added.map(({ figures }) => figures)).to.deep.equal([
      { p99Us: 300, addedP99Us: 200 },
      { p99Us: 100 },
    ]);
  });

  it('adds nothing without a direct run', () => {
    const results = [result('isthmus', { p99Us: 300 })];
    expect(withAdded(results, 'p99Us')).to.deep.equal(results);
  });
});

describe('toJson', () => {
  it('is one object of results and ratios, figures grouped and rounded', () => {
    const results = [
      result('isthmus', { rps: 70_000.123, 'cpuUsPerRequest.out': 7.777, rssMb: 56 }),
      result('nginx', {}, 'wrk: 2 status'),
    ];
    expect(toJson(results, { 'rps50.haproxy': 1.7 })).to.deep.equal({
      results: [
        {
          path: 'chain',
          scenario: 'c50',
          system: 'isthmus',
          connections: 50,
          rps: 70_000.12,
          cpuUsPerRequest: { out: 7.78 },
          rssMb: 56,
        },
        {
          path: 'chain',
          scenario: 'c50',
          system: 'nginx',
          connections: 50,
          failure: 'wrk: 2 status',
        },
      ],
      ratios: { 'rps50.haproxy': 1.7 },
    });
  });
});
