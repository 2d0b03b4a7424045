/** What happened, told to the metrics and the access log. Decides nothing. */

import type { ClusterName, WorkloadName } from '../mesh/names.ts';
import { serviceHost } from '../mesh/service.ts';
import type { SpiffeId } from '../mesh/spiffe-id.ts';
import type { Upstream } from '../mesh/upstream.ts';
import type { Logger } from '../runtime/log.ts';
import type { ConnectionRefusal } from '../trust-federation/peer-listener.ts';
import type { AnswerCode } from './http/answer.ts';
import type { InboundRequest } from './inbound/http.ts';
import type { InboundService } from './inbound/services.ts';
import type { StreamRefusal } from './inbound/streams.ts';
import type { SidecarMetrics } from './metrics.ts';
import type { FailedAttempt } from './outbound/caller.ts';
import type { OutboundCall } from './outbound/http-listener.ts';

export interface ReporterOptions {
  readonly metrics: SidecarMetrics;
  readonly log: Logger;
  readonly cluster: ClusterName;
  readonly workload: WorkloadName;
  readonly identity: () => SpiffeId;
}

/** Istio's word for what one side cannot know of the other. */
const UNKNOWN = 'unknown';

export class Reporter {
  readonly #options: ReporterOptions;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  outboundCall(call: OutboundCall): void {
    const { metrics, log, cluster, workload, identity } = this.#options;
    const { upstream, reached, status, durationMs } = call;
    const endpoint = reached?.target.endpoint;
    metrics.request(
      {
        reporter: 'source',
        source_workload: workload,
        source_cluster: cluster,
        source_principal: identity(),
        destination_service: upstream?.host ?? UNKNOWN,
        destination_workload: endpoint?.workload ?? UNKNOWN,
        destination_cluster: endpoint?.cluster ?? UNKNOWN,
        response_code: String(status),
      },
      durationMs,
    );
    log.debug(
      {
        method: call.method,
        authority: call.authority,
        status,
        durationMs,
        workload: endpoint?.workload,
        cluster: endpoint?.cluster,
        path: endpoint?.path,
        attempts: reached?.attempts,
      },
      'outbound request',
    );
  }

  outboundTcp(upstream: Upstream): void {
    this.#options.metrics.tcpConnections.inc({
      reporter: 'source',
      destination_service: upstream.host,
    });
  }

  outboundRefused(reason: AnswerCode): void {
    this.#options.metrics.outboundRefused.inc({ reason });
  }

  attemptFailed(attempt: FailedAttempt): void {
    this.#options.metrics.attemptsFailed.inc({ destination_cluster: attempt.cluster });
    this.#options.log.debug(attempt, 'attempt failed');
  }

  inboundAccepted(): void {
    this.#options.metrics.inboundAccepted.inc();
  }

  inboundRefused(
    reason: ConnectionRefusal | StreamRefusal | AnswerCode,
    fields: Readonly<Record<string, string>> = {},
  ): void {
    this.#options.metrics.inboundRefused.inc({ reason });
    this.#options.log.debug({ reason, ...fields }, 'inbound refused');
  }

  inboundRequest(request: InboundRequest): void {
    const { metrics, log, cluster, workload } = this.#options;
    const { service, peer, status, durationMs } = request;
    metrics.request(
      {
        reporter: 'destination',
        source_workload: UNKNOWN,
        source_cluster: UNKNOWN,
        source_principal: peer.id,
        destination_service: hostOf(service),
        destination_workload: workload,
        destination_cluster: cluster,
        response_code: String(status),
      },
      durationMs,
    );
    log.debug(
      { method: request.method, service: hostOf(service), peer: peer.id, status, durationMs },
      'inbound request',
    );
  }

  inboundTcp(service: InboundService): void {
    this.#options.metrics.tcpConnections.inc({
      reporter: 'destination',
      destination_service: hostOf(service),
    });
  }
}

function hostOf(service: InboundService): string {
  return serviceHost('clusterset', service.namespace, service.name);
}
