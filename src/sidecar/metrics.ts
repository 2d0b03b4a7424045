/**
 * The sidecar's figures, under Istio's names where Istio has one, so its boards read ours.
 *
 * Labels come from configuration and from verified identities, never from what a request says; and the
 * number of distinct sets is bounded: past the bound, figures are counted under "other". A request costs
 * a few additions: its labels were bound before, and prom-client is told when somebody asks.
 */

import { Counter, Gauge, type Histogram } from 'prom-client';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { METRIC_SERIES_MAX } from './limits.ts';

const SOURCE_AND_DESTINATION = [
  'reporter',
  'source_workload',
  'source_cluster',
  'source_principal',
  'destination_service',
  'destination_workload',
  'destination_cluster',
] as const;
const REQUEST_LABELS = [...SOURCE_AND_DESTINATION, 'response_code'] as const;
const DURATION_NAME = 'istio_request_duration_milliseconds';
const DURATION_BUCKETS_MS = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
] as const;

/** Who called whom. */
export type CallLabels = Readonly<Record<(typeof SOURCE_AND_DESTINATION)[number], string>>;
type RequestLabel = (typeof REQUEST_LABELS)[number];
type RequestLabels = Readonly<Record<RequestLabel, string>>;

export interface SidecarMetrics {
  readonly requests: RequestFigures;
  readonly tcpConnections: Counter<'reporter' | 'destination_service'>;
  readonly outboundRefused: Counter<'reason'>;
  readonly attemptsFailed: Counter<'destination_cluster'>;
  readonly unanswered: Counter<'repeat'>;
  readonly endpointsOut: Counter<'reason'>;
  readonly inboundAccepted: Counter;
  readonly inboundRefused: Counter<'reason'>;
}

/** The requests between two workloads that ended with one status. */
class RequestSeries {
  readonly labels: RequestLabels;
  count = 0;
  sumMs = 0;
  /** One more than there are bounds. */
  readonly buckets: number[] = Array.from({ length: DURATION_BUCKETS_MS.length + 1 }, () => 0);

  constructor(labels: RequestLabels) {
    this.labels = labels;
  }

  add(durationMs: number): void {
    this.count++;
    this.sumMs += durationMs;
    let bucket = 0;
    while (durationMs > (DURATION_BUCKETS_MS[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
  }
}

/** The requests between two workloads. Kept by whoever reports them. */
export class BoundFigures {
  readonly #byStatus: (RequestSeries | undefined)[] = [];
  readonly #seriesOf: (status: number) => RequestSeries;

  constructor(seriesOf: (status: number) => RequestSeries) {
    this.#seriesOf = seriesOf;
  }

  add(status: number, durationMs: number): void {
    const series = (this.#byStatus[status] ??= this.#seriesOf(status));
    series.add(durationMs);
  }
}

export class RequestFigures {
  readonly #series = new Map<string, RequestSeries>();
  readonly #seriesMax: number;

  constructor(seriesMax = METRIC_SERIES_MAX) {
    this.#seriesMax = seriesMax;
  }

  bind(labels: CallLabels): BoundFigures {
    return new BoundFigures(status => this.#seriesOf({ ...labels, response_code: String(status) }));
  }

  all(): Iterable<RequestSeries> {
    return this.#series.values();
  }

  #seriesOf(labels: RequestLabels): RequestSeries {
    const known = this.#series.get(keyOf(labels));
    if (known !== undefined) return known;
    const kept = this.#series.size < this.#seriesMax ? labels : othersOf(labels);
    const series = this.#series.get(keyOf(kept)) ?? new RequestSeries(kept);
    this.#series.set(keyOf(kept), series);
    return series;
  }
}

export function createSidecarMetrics(registry: MetricsRegistry): SidecarMetrics {
  const registers = [registry];
  const requests = new RequestFigures();
  exposeRequests(registry, requests);
  return {
    requests,
    tcpConnections: new Counter({
      name: 'istio_tcp_connections_opened_total',
      help: 'TCP connections joined end to end',
      labelNames: ['reporter', 'destination_service'],
      registers,
    }),
    outboundRefused: new Counter({
      name: 'isthmus_outbound_refused_total',
      help: 'Requests of the own application that the sidecar answered itself, by error code',
      labelNames: ['reason'],
      registers,
    }),
    attemptsFailed: new Counter({
      name: 'isthmus_attempts_failed_total',
      help: 'Attempts that reached no application, by the cluster they went to',
      labelNames: ['destination_cluster'],
      registers,
    }),
    unanswered: new Counter({
      name: 'isthmus_unanswered_total',
      help: 'Requests that an application had and did not answer in time, by whether they were sent again',
      labelNames: ['repeat'],
      registers,
    }),
    endpointsOut: new Counter({
      name: 'isthmus_endpoints_out_total',
      help: 'Times an endpoint was taken out of service, by reason',
      labelNames: ['reason'],
      registers,
    }),
    inboundAccepted: new Counter({
      name: 'isthmus_inbound_connections_total',
      help: 'Mesh connections accepted from verified peers',
      registers,
    }),
    inboundRefused: new Counter({
      name: 'isthmus_inbound_refused_total',
      help: 'Mesh connections and streams refused, by reason',
      labelNames: ['reason'],
      registers,
    }),
  };
}

/** Read from what the sidecar knows of its upstreams, at each scrape. */
export function exposeHealth(registry: MetricsRegistry, health: () => HealthFigures): void {
  const registers = [registry];
  new Gauge({
    name: 'isthmus_endpoints',
    help: 'Endpoints of all upstreams, in service and out of it',
    labelNames: ['state'],
    registers,
    collect() {
      const { inService, outOfService } = health();
      this.set({ state: 'in-service' }, inService);
      this.set({ state: 'out-of-service' }, outOfService);
    },
  });
  new Gauge({
    name: 'isthmus_gateways_out',
    help: 'Gateways of other clusters that cannot be connected to',
    registers,
    collect() {
      this.set(health().gatewaysOut);
    },
  });
  new Gauge({
    name: 'isthmus_upstreams_panicking',
    help: 'Upstreams with so few healthy endpoints that ejected ones are used again',
    registers,
    collect() {
      this.set(health().panicking);
    },
  });
}

export interface HealthFigures {
  readonly inService: number;
  readonly outOfService: number;
  readonly gatewaysOut: number;
  readonly panicking: number;
}

function exposeRequests(registry: MetricsRegistry, requests: RequestFigures): void {
  new Counter({
    name: 'istio_requests_total',
    help: 'HTTP requests, seen from the caller (reporter="source") and the callee ("destination")',
    labelNames: REQUEST_LABELS,
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, count } of requests.all()) this.inc(labels, count);
    },
  });
  const histogram = {
    name: DURATION_NAME,
    help: 'From the head of a request to the end of its response',
    type: 'histogram',
    aggregator: 'sum' as const,
    get: () => Promise.resolve({ ...histogram, values: [...requests.all()].flatMap(bucketValues) }),
  };
  // prom-client's own has no way to be told its buckets, only to observe values one by one. A registry
  // asks no more of a metric than this.
  registry.registerMetric(histogram as unknown as Histogram<RequestLabel>);
}

function bucketValues({ labels, count, sumMs, buckets }: RequestSeries) {
  let below = 0;
  const bounds = [...DURATION_BUCKETS_MS, '+Inf'] as const;
  return [
    ...bounds.map((le, i) => {
      below += buckets[i] ?? 0;
      return { metricName: `${DURATION_NAME}_bucket`, labels: { ...labels, le }, value: below };
    }),
    { metricName: `${DURATION_NAME}_sum`, labels, value: sumMs },
    { metricName: `${DURATION_NAME}_count`, labels, value: count },
  ];
}

/** What is counted together past the bound: one set per reporter and status class. */
function othersOf(labels: RequestLabels): RequestLabels {
  return {
    reporter: labels.reporter,
    source_workload: 'other',
    source_cluster: 'other',
    source_principal: 'other',
    destination_service: 'other',
    destination_workload: 'other',
    destination_cluster: 'other',
    response_code: `${labels.response_code.slice(0, 1)}xx`,
  };
}

function keyOf(labels: RequestLabels): string {
  return REQUEST_LABELS.map(name => labels[name]).join('\n');
}
