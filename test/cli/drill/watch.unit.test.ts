import { expect } from 'chai';
import { between, isHarm, type Totals, totalsIn } from '../../../src/cli/drill/watch.ts';

function line(reporter: string, cluster: string, code: string, count: number): string {
  return `istio_requests_total{reporter="${reporter}",destination_cluster="${cluster}",response_code="${code}",component="sidecar"} ${count}`;
}

function totals(requests: number, errors: number): Totals {
  return { requests, errors, toCluster: 0 };
}

describe("what callers' sidecars count", () => {
  it('is read from the callers, not twice, with errors and where calls went', () => {
    const text = [
      '# TYPE istio_requests_total counter',
      line('source', 'east', '200', 70),
      line('source', 'west', '200', 20),
      line('source', 'west', '503', 10),
      line('destination', 'east', '200', 70),
      'istio_request_duration_milliseconds_count{reporter="source"} 100',
    ].join('\n');
    expect(totalsIn(text, 'east')).to.deep.equal({ requests: 100, errors: 10, toCluster: 70 });
  });

  it('is what was added between two readings, and nothing when a sidecar starts over', () => {
    expect(between(totals(10, 1), totals(15, 1))).to.deep.equal(totals(5, 0));
    expect(between(totals(10, 1), totals(2, 0))).to.deep.equal(totals(0, 0));
  });
});

describe('harm', () => {
  for (const [what, during, before, harm] of [
    ['more errors than before', totals(100, 5), totals(100, 0), true],
    ['no errors', totals(100, 0), totals(100, 0), false],
    ['the errors there were before', totals(100, 5), totals(100, 5), false],
    ['two errors, however few the calls', totals(2, 2), totals(100, 0), false],
    ['a share of errors too small to tell', totals(1_000, 5), totals(1_000, 0), false],
    ['errors where there were no calls before', totals(10, 3), totals(0, 0), true],
  ] as const) {
    it(`${harm ? 'is' : 'is not'} ${what}`, () => {
      expect(isHarm(during, before)).to.equal(harm);
    });
  }
});
