/**
 * The sidecar's figures, under Istio's names where Istio has one, so its boards read ours.
 *
 * Labels come from configuration and from verified identities, never from what a request says; and the
 * number of distinct sets is bounded: past the bound, figures are counted under "other".
 */

import { Counter, Histogram } from 'prom-client';
import type { MetricsRegistry } from '../runtime/metrics.ts';
import { METRIC_SERIES_MAX } from './limits.ts';

const REQUEST_LABELS = [
  'reporter',
  'source_workload',
  'source_cluster',
  'source_principal',
  'destination_service',
  'destination_workload',
  'destination_cluster',
  'response_code',
] as const;

export type RequestLabels = Readonly<Record<(typeof REQUEST_LABELS)[number], string>>;

export interface SidecarMetrics {
  request(labels: RequestLabels, durationMs: number): void;
  readonly tcpConnections: Counter<'reporter' | 'destination_service'>;
  readonly outboundRefused: Counter<'reason'>;
  readonly attemptsFailed: Counter<'destination_cluster'>;
  readonly inboundAccepted: Counter;
  readonly inboundRefused: Counter<'reason'>;
}

export function createSidecarMetrics(registry: MetricsRegistry): SidecarMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'istio_requests_total',
    help: 'HTTP requests, seen from the caller (reporter="source") and the callee ("destination")',
    labelNames: REQUEST_LABELS,
    registers,
  });
  const durations = new Histogram({
    name: 'istio_request_duration_milliseconds',
    help: 'From the head of a request to the end of its response',
    labelNames: REQUEST_LABELS,
    buckets: [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000],
    registers,
  });
  const bounded = boundedLabels(METRIC_SERIES_MAX);
  return {
    request: (labels, durationMs) => {
      const kept = bounded(labels);
      requests.inc(kept);
      durations.observe(kept, durationMs);
    },
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

/** Passes the first `max` distinct label sets; folds the rest into one per reporter and status class. */
export function boundedLabels(max: number): (labels: RequestLabels) => RequestLabels {
  const seen = new Set<string>();
  return labels => {
    const key = REQUEST_LABELS.map(name => labels[name]).join('\n');
    if (seen.has(key)) return labels;
    if (seen.size < max) {
      seen.add(key);
      return labels;
    }
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
  };
}
