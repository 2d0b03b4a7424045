import { expect } from 'chai';
import { Registry } from 'prom-client';
import {
  type CallLabels,
  createSidecarMetrics,
  RequestFigures,
} from '../../src/sidecar/metrics.ts';

function labels(workload: string): CallLabels {
  return {
    reporter: 'source',
    source_workload: 'web',
    source_cluster: 'east',
    source_principal: 'spiffe://east.example/ns/shop/sa/web',
    destination_service: 'payments.shop.svc.clusterset.local',
    destination_workload: workload,
    destination_cluster: 'west',
  };
}

describe('the figures of requests', () => {
  it('are kept up to their bound, and folded into one set per status class past it', () => {
    const figures = new RequestFigures(2);
    figures.bind(labels('a')).add(200, 1);
    figures.bind(labels('b')).add(200, 1);
    figures.bind(labels('c')).add(503, 1);
    figures.bind(labels('d')).add(500, 1);
    figures.bind(labels('a')).add(200, 1);
    const seen = [...figures.all()].map(series => [
      series.labels.destination_workload,
      series.labels.response_code,
      series.count,
    ]);
    expect(seen).to.deep.equal([
      ['a', '200', 2],
      ['b', '200', 1],
      ['other', '5xx', 2],
    ]);
  });

  it('are exposed as a counter and a histogram with cumulative buckets', async () => {
    const registry = new Registry();
    const { requests } = createSidecarMetrics(registry);
    const bound = requests.bind(labels('a'));
    for (const durationMs of [0, 1, 3, 20_000]) bound.add(200, durationMs);
    for (const scrape of [await registry.metrics(), await registry.metrics()]) {
      expect(scrape).to.match(/istio_requests_total\{[^}]*response_code="200"\} 4\n/);
      const buckets = [...scrape.matchAll(/milliseconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\d+)/g)];
      const counts = new Map(buckets.map(([, bound, count]) => [bound, count]));
      expect([counts.get('1'), counts.get('2.5'), counts.get('5')]).to.deep.equal(['2', '2', '3']);
      expect([counts.get('10000'), counts.get('+Inf')]).to.deep.equal(['3', '4']);
      expect(scrape).to.match(/milliseconds_sum\{[^}]*\} 20004\n/);
      expect(scrape).to.match(/milliseconds_count\{[^}]*\} 4\n/);
    }
  });
});
