/**
 * The gateways of other clusters as this sidecar sees them: can one be connected to at all? That is the
 * gateway's own health and is known for all services at once; what lies behind it is the endpoint's.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { nextReachability, REACHABLE, type Reachability } from '../../mesh/outlier-detection.ts';

export interface Gateway {
  readonly address: string;
  reach: Reachability;
  isOnTrial: boolean;
}

export class Gateways {
  readonly #known = new Map<string, Gateway>();
  readonly #now: () => number;
  readonly #random: () => number;
  /** Grows when one goes out or comes back: what was worked out before is out of date. */
  version = 0;

  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  at(address: SocketAddress): Gateway {
    const key = formatAddress(address);
    let gateway = this.#known.get(key);
    if (gateway === undefined) {
      gateway = { address: key, reach: REACHABLE, isOnTrial: false };
      this.#known.set(key, gateway);
    }
    return gateway;
  }

  record(gateway: Gateway, event: 'reached' | 'failed'): void {
    const after = nextReachability(gateway.reach, event, this.#now(), this.#random());
    if (after.kind !== gateway.reach.kind) this.version++;
    gateway.reach = after;
  }

  all(): Iterable<Gateway> {
    return this.#known.values();
  }

  /** Forgets those that no upstream has any more. */
  keep(inUse: ReadonlySet<Gateway>): void {
    for (const [key, gateway] of this.#known) if (!inUse.has(gateway)) this.#known.delete(key);
  }
}
