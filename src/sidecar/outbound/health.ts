/** What this sidecar knows of each endpoint's reachability; the rules are in mesh/outlier-detection.ts. */

import type { Collection } from '../../mesh/collection.ts';
import {
  type ConnectEvent,
  type EndpointHealth,
  HEALTHY,
  isEjected,
  nextHealth,
} from '../../mesh/outlier-detection.ts';
import type { EndpointHash } from '../../mesh/service.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';

export class HealthTable {
  /** Only endpoints that failed since they last answered; forgotten with the endpoint. */
  readonly #failing = new Map<EndpointHash, EndpointHealth>();
  readonly #now: () => number;
  readonly #random: () => number;

  constructor(
    upstreams: Collection<UpstreamName, Upstream>,
    now: () => number,
    random: () => number,
  ) {
    this.#now = now;
    this.#random = random;
    upstreams.observe(() => this.#prune(upstreams));
  }

  record(endpoint: EndpointHash, event: ConnectEvent): void {
    const before = this.#failing.get(endpoint) ?? HEALTHY;
    const after = nextHealth(before, event, this.#now(), this.#random());
    if (after === HEALTHY) this.#failing.delete(endpoint);
    else this.#failing.set(endpoint, after);
  }

  /** No endpoint of any upstream is known to fail. */
  get allInService(): boolean {
    return this.#failing.size === 0;
  }

  isEjected(endpoint: EndpointHash): boolean {
    return isEjected(this.#failing.get(endpoint) ?? HEALTHY, this.#now());
  }

  ejectedUntilMs(endpoint: EndpointHash): number | undefined {
    return this.isEjected(endpoint) ? this.#failing.get(endpoint)?.ejectedUntilMs : undefined;
  }

  #prune(upstreams: Collection<UpstreamName, Upstream>): void {
    if (this.#failing.size === 0) return;
    const known = new Set<EndpointHash>();
    for (const upstream of upstreams.entries().values()) {
      for (const endpoint of upstream.endpoints) known.add(endpoint.hash);
    }
    for (const hash of this.#failing.keys()) if (!known.has(hash)) this.#failing.delete(hash);
  }
}
