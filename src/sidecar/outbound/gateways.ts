/**
 * The gateways of other clusters as this sidecar sees them: can one be connected to at all? That is the
 * gateway's own health and is known for all services at once; what lies behind it is the endpoint's.
 */

import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { nextReachability, type Reachability, UNTRIED } from '../../mesh/outlier-detection.ts';
import { isAnswering, isInService, type PathState } from '../../mesh/path.ts';

export interface Gateway {
  readonly address: string;
  reach: Reachability;
  /** What probes say of it; undefined while nothing is called through it. */
  probed: PathState | undefined;
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
      gateway = { address: key, reach: UNTRIED, probed: undefined, isOnTrial: false };
      this.#known.set(key, gateway);
    }
    return gateway;
  }

  record(gateway: Gateway, event: 'reached' | 'failed'): void {
    const after = nextReachability(gateway.reach, event, this.#now(), this.#random());
    if (after.kind !== gateway.reach.kind) this.version++;
    gateway.reach = after;
  }

  /** A probe through it has something new to say. */
  probed(address: SocketAddress, state: PathState | undefined): void {
    const gateway = this.#known.get(formatAddress(address));
    if (gateway === undefined) return;
    if (isUsable(gateway.probed) !== isUsable(state)) this.version++;
    gateway.probed = state;
  }

  all(): Iterable<Gateway> {
    return this.#known.values();
  }

  /** Forgets those that no upstream has any more. */
  keep(inUse: ReadonlySet<Gateway>): void {
    for (const [key, gateway] of this.#known) if (!inUse.has(gateway)) this.#known.delete(key);
  }
}

/** Whether calls are to go through it while there is a choice. */
export function isOpenGateway({ reach, probed }: Gateway): boolean {
  return reach.kind === 'in' && isUsable(probed);
}

/** Of those that are not: which one rather. It answers, or it has not been tried in vain. */
export function isAnsweringGateway({ reach, probed }: Gateway): boolean {
  return probed === undefined ? reach.kind === 'in' : isAnswering(probed);
}

function isUsable(state: PathState | undefined): boolean {
  return state === undefined || isInService(state);
}
