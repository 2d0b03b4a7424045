/**
 * Envoy's Aggregated Discovery Service, delta variant: runs `delta-stream` for each connected proxy.
 *
 * What kind of proxy it is follows from its certificate; only its name and locality are taken from what
 * it says about itself. A proxy that stops reading stalls its own stream: the newest snapshot waits for
 * it, and the others never notice.
 */

import { MeshError } from '../../mesh/errors.ts';
import { parseWorkloadName } from '../../mesh/names.ts';
import { trustDomainOf } from '../../mesh/spiffe-id.ts';
import { gatewayId } from '../../mesh/system-identities.ts';
import type { Logger } from '../../runtime/log.ts';
import { type CallContext, type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import type { Node } from '../../wire/generated/envoy/config/core/v3/base.ts';
import { AggregatedDiscoveryServiceDefinition } from '../../wire/generated/envoy/service/discovery/v3/ads.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../wire/generated/envoy/service/discovery/v3/discovery.ts';
import { resourceTypeOf } from '../../wire/xds/resource.ts';
import { STREAM_REQUESTS_MAX } from '../limits.ts';
import type { AgentMetrics } from '../metrics.ts';
import { peerIdOf } from '../peer.ts';
import { Signal } from '../signal.ts';
import { next, openStream, type StreamEvent, type StreamOutcome } from './delta-stream.ts';
import type { Proxies, ProxyIdentity } from './proxies.ts';
import type { ProxyClass, Snapshot } from './snapshot.ts';
import type { SnapshotCache } from './snapshot-cache.ts';

export interface AdsServerOptions {
  readonly snapshots: SnapshotCache;
  readonly proxies: Proxies;
  readonly metrics: AgentMetrics;
  readonly log: Logger;
}

export class AdsServer {
  readonly #options: AdsServerOptions;

  constructor(options: AdsServerOptions) {
    this.#options = options;
  }

  service(): RpcService {
    return rpcService(AggregatedDiscoveryServiceDefinition, {
      deltaAggregatedResources: (requests, context) => this.#serve(requests, context),
    });
  }

  async *#serve(
    requests: AsyncIterable<DeltaDiscoveryRequest>,
    context: CallContext,
  ): AsyncGenerator<DeltaDiscoveryResponse, void> {
    const inbox = new Inbox(requests);
    const first = await inbox.firstRequest(context.signal);
    if (first === undefined) return;
    const { identity, proxies } = describeProxy(first.node, context);
    const { snapshot, stop } = this.#options.snapshots.subscribe(proxies, latest =>
      inbox.offer(latest),
    );
    const disconnected = this.#options.proxies.connected(identity);
    try {
      let state = openStream(snapshot);
      let event: StreamEvent | undefined = { kind: 'request', request: first };
      while (event !== undefined) {
        const step = next(state, event);
        state = step.state;
        this.#note(identity, step.outcome);
        if (step.send !== undefined) {
          this.#count(step.send.typeUrl, 'sent');
          yield step.send;
        }
        event = await inbox.take(context.signal);
      }
    } finally {
      disconnected();
      stop();
    }
  }

  #note(identity: ProxyIdentity, outcome: StreamOutcome): void {
    const { proxies, log, metrics } = this.#options;
    proxies.record(identity, outcome);
    switch (outcome.kind) {
      case 'noted':
        return;
      case 'acked':
        metrics.pushes.inc({ type: outcome.type, result: 'acked' });
        return;
      case 'nacked':
        metrics.pushes.inc({ type: outcome.type, result: 'nacked' });
        log.error({ proxy: identity.name, ...outcome }, 'proxy refused its configuration');
        return;
      case 'stale-nonce':
        metrics.pushes.inc({ type: outcome.type, result: 'stale' });
        return;
      case 'unknown-type':
        log.warn({ proxy: identity.name, ...outcome }, 'proxy asks for a type not served');
        return;
      case 'too-many-subscriptions':
        throw new MeshError('LIMIT_EXCEEDED', `too many ${outcome.type} subscriptions`);
    }
  }

  #count(typeUrl: string, result: string): void {
    const type = resourceTypeOf(typeUrl);
    if (type !== undefined) this.#options.metrics.pushes.inc({ type, result });
  }
}

/** Throws REQUEST_INVALID for a node without a name. */
function describeProxy(
  node: Node | undefined,
  context: CallContext,
): { readonly identity: ProxyIdentity; readonly proxies: ProxyClass } {
  const spiffeId = peerIdOf(context.peerCertificate);
  const isGateway = spiffeId === gatewayId(trustDomainOf(spiffeId));
  if (node === undefined) throw new MeshError('REQUEST_INVALID', 'first request has no node');
  const name = parseWorkloadName(node.id);
  const locality = { region: node.locality?.region ?? '', zone: node.locality?.zone ?? '' };
  return {
    identity: { name, kind: isGateway ? 'gateway' : 'sidecar', spiffeId },
    proxies: isGateway ? { kind: 'gateway' } : { kind: 'sidecar', locality },
  };
}

/** The stream's requests and the newest snapshot, one event at a time. */
class Inbox {
  readonly #requests: DeltaDiscoveryRequest[] = [];
  readonly #signal = new Signal();
  #snapshot: Snapshot | undefined;
  #ended = false;
  #failure: unknown;

  constructor(requests: AsyncIterable<DeltaDiscoveryRequest>) {
    void this.#pump(requests);
  }

  offer(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#signal.raise();
  }

  async firstRequest(signal: AbortSignal): Promise<DeltaDiscoveryRequest | undefined> {
    const event = await this.take(signal);
    return event?.kind === 'request' ? event.request : undefined;
  }

  /** Undefined once the proxy has ended the stream or gone away. */
  async take(signal: AbortSignal): Promise<StreamEvent | undefined> {
    while (!signal.aborted) {
      const request = this.#requests.shift();
      if (request !== undefined) return { kind: 'request', request };
      if (this.#snapshot !== undefined) {
        const snapshot = this.#snapshot;
        this.#snapshot = undefined;
        return { kind: 'snapshot', snapshot };
      }
      if (this.#failure !== undefined) throw this.#failure as Error;
      if (this.#ended) return undefined;
      await this.#signal.wait(signal);
    }
    return undefined;
  }

  async #pump(requests: AsyncIterable<DeltaDiscoveryRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.#requests.length >= STREAM_REQUESTS_MAX) {
          throw new MeshError('LIMIT_EXCEEDED', 'too many requests on one stream at once');
        }
        this.#requests.push(request);
        this.#signal.raise();
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#ended = true;
    this.#signal.raise();
  }
}
