/** What happened, told to the metrics and the access log. Decides nothing. */

import type { ClusterName, WorkloadName } from '../mesh/names.ts';
import { serviceHost } from '../mesh/service.ts';
import type { SpiffeId } from '../mesh/spiffe-id.ts';
import type { Upstream, UpstreamEndpoint } from '../mesh/upstream.ts';
import type { Logger } from '../runtime/log.ts';
import type { ConnectionRefusal } from '../trust-federation/peers/peer-listener.ts';
import type { AcceptedPeer } from '../trust-federation/peers/verify.ts';
import type { AnswerCode } from './http/answer.ts';
import type { InboundService } from './inbound/services.ts';
import type { InboundRequest, StreamRefusal } from './inbound/streams.ts';
import type { BoundFigures, SidecarMetrics } from './metrics.ts';
import type { FailedAttempt } from './outbound/caller.ts';
import type { OutboundCall } from './outbound/mesh-hop.ts';
import type { Repeat } from './outbound/repeats.ts';
import type { OutReason } from './outbound/rotation.ts';

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
  /** Of each endpoint that was called; they go with the agent's word of it. */
  #byEndpoint = new WeakMap<UpstreamEndpoint, BoundFigures>();
  #identity: SpiffeId;
  readonly #unreached: BoundFigures;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#identity = options.identity();
    this.#unreached = this.#bindOutbound(undefined, undefined);
  }

  outboundCall({ head, upstream, reached, status, durationMs }: OutboundCall): void {
    const endpoint = reached?.way.target.endpoint;
    this.#outboundFigures(upstream, endpoint).add(status, durationMs);
    const { log } = this.#options;
    if (!log.isLevelEnabled('debug')) return;
    log.debug(
      {
        method: head.method,
        authority: head.host,
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

  unanswered(repeat: Repeat): void {
    this.#options.metrics.unanswered.inc({ repeat });
  }

  endpointOut(reason: OutReason): void {
    this.#options.metrics.endpointsOut.inc({ reason });
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

  inboundFigures(service: InboundService, peer: AcceptedPeer): BoundFigures {
    const { metrics, cluster, workload } = this.#options;
    return metrics.requests.bind({
      reporter: 'destination',
      source_workload: UNKNOWN,
      source_cluster: UNKNOWN,
      source_principal: peer.id,
      destination_service: hostOf(service),
      destination_workload: workload,
      destination_cluster: cluster,
    });
  }

  inboundRequest({ method, service, peer, figures, status, durationMs }: InboundRequest): void {
    figures.add(status, durationMs);
    const { log } = this.#options;
    if (!log.isLevelEnabled('debug')) return;
    log.debug(
      { method, service: hostOf(service), peer: peer.id, status, durationMs },
      'inbound request',
    );
  }

  inboundTcp(service: InboundService): void {
    this.#options.metrics.tcpConnections.inc({
      reporter: 'destination',
      destination_service: hostOf(service),
    });
  }

  #outboundFigures(
    upstream: Upstream | undefined,
    endpoint: UpstreamEndpoint | undefined,
  ): BoundFigures {
    const identity = this.#options.identity();
    if (identity !== this.#identity) {
      this.#identity = identity;
      this.#byEndpoint = new WeakMap();
    }
    if (endpoint === undefined) {
      return upstream === undefined ? this.#unreached : this.#bindOutbound(upstream, undefined);
    }
    let figures = this.#byEndpoint.get(endpoint);
    if (figures === undefined) {
      figures = this.#bindOutbound(upstream, endpoint);
      this.#byEndpoint.set(endpoint, figures);
    }
    return figures;
  }

  #bindOutbound(
    upstream: Upstream | undefined,
    endpoint: UpstreamEndpoint | undefined,
  ): BoundFigures {
    const { metrics, cluster, workload } = this.#options;
    return metrics.requests.bind({
      reporter: 'source',
      source_workload: workload,
      source_cluster: cluster,
      source_principal: this.#identity,
      destination_service: upstream?.host ?? UNKNOWN,
      destination_workload: endpoint?.workload ?? UNKNOWN,
      destination_cluster: endpoint?.cluster ?? UNKNOWN,
    });
  }
}

function hostOf(service: InboundService): string {
  return serviceHost('clusterset', service.namespace, service.name);
}
