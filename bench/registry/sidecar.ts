/**
 * A sidecar's end of the stream from its agent, without the network: what it is sent, read and put in force
 * as its link does. Nothing else happens in a sidecar while one message is dealt with.
 */

import { Received } from '../../src/cluster-agent/link/received.ts';
import {
  next,
  openStream,
  type StreamEvent,
  type StreamState,
} from '../../src/cluster-agent/xds/delta-stream.ts';
import type { Snapshot } from '../../src/cluster-agent/xds/snapshot.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../src/wire/generated/envoy/service/discovery/v3/discovery.ts';
import { RESOURCE_TYPE_URLS, type ResourceType } from '../../src/wire/xds/resource.ts';

const TYPES: readonly ResourceType[] = ['cluster', 'load-assignment', 'route-configuration'];

export class ToldSidecar {
  readonly #received: Received;
  #state: StreamState;

  constructor(snapshot: Snapshot, root: TrustBundle) {
    this.#received = new Received('sidecar', root);
    this.#state = openStream(snapshot);
  }

  get upstreams(): number {
    return this.#received.upstreams.entries().size;
  }

  /** Everything there is. Returns how long the slowest message took, in ms. */
  connect(): number {
    return Math.max(
      ...TYPES.map(type => this.#take({ kind: 'request', request: requestOf(type, '') })),
    );
  }

  /** What is new. Returns how long the slowest message took, in ms. */
  hear(snapshot: Snapshot): number {
    return this.#take({ kind: 'snapshot', snapshot });
  }

  #take(event: StreamEvent): number {
    let slowestMs = 0;
    let step = next(this.#state, event);
    while (step.send !== undefined) {
      const sent = DeltaDiscoveryResponse.encode(step.send).finish();
      const startMs = performance.now();
      const response = DeltaDiscoveryResponse.decode(sent);
      const type = TYPES.find(each => RESOURCE_TYPE_URLS[each] === response.typeUrl);
      if (type === undefined) throw new Error(`"${response.typeUrl}" was not asked for`);
      const [problem] = this.#received.apply(type, response);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      if (problem !== undefined) throw new Error(problem);
      step = next(step.state, { kind: 'request', request: requestOf(type, response.nonce) });
    }
    this.#state = step.state;
    return slowestMs;
  }
}

/** A subscription to all of a type, or with a nonce the acknowledgement of a response. */
function requestOf(type: ResourceType, responseNonce: string): DeltaDiscoveryRequest {
  return {
    node: undefined,
    typeUrl: RESOURCE_TYPE_URLS[type],
    resourceNamesSubscribe: [],
    resourceNamesUnsubscribe: [],
    initialResourceVersions: {},
    responseNonce,
    errorDetail: undefined,
  };
}
