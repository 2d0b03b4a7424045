/**
 * Which endpoint a call goes to: the lowest priority level that has an endpoint in service, in turn
 * within the level.
 *
 * Panic: when every endpoint is ejected, ejection says more about this observer than about them, so
 * the best level is used as if none were (Envoy's panic threshold, at its smallest). A call that has
 * failed before it reached anyone excludes what it tried.
 */

import type { SocketAddress } from './address.ts';
import type { EndpointHash } from './service.ts';
import type { UpstreamEndpoint } from './upstream.ts';

export interface Selection {
  readonly isEjected: (endpoint: EndpointHash) => boolean;
  readonly excluded: ReadonlySet<EndpointHash>;
  /** Grows by one with every call of the upstream. */
  readonly turn: number;
}

/** Undefined when nothing is left to try. */
export function chooseEndpoint(
  endpoints: readonly UpstreamEndpoint[],
  { isEjected, excluded, turn }: Selection,
): UpstreamEndpoint | undefined {
  const untried = endpoints.filter(endpoint => !excluded.has(endpoint.hash));
  const inService = untried.filter(endpoint => !isEjected(endpoint.hash));
  const candidates = inService.length > 0 ? inService : untried;
  const level = bestLevel(candidates);
  return level[turn % level.length];
}

export function bestLevel(endpoints: readonly UpstreamEndpoint[]): readonly UpstreamEndpoint[] {
  const best = Math.min(...endpoints.map(endpoint => endpoint.priority));
  return endpoints.filter(endpoint => endpoint.priority === best);
}

/**
 * Which of an endpoint's addresses has its turn, before the division by how many it has. Slower than the
 * turn of endpoints, or two endpoints would each keep to one of two addresses.
 */
export function addressTurn(turn: number, endpoints: number): number {
  return Math.floor(turn / endpoints);
}

export interface Target {
  readonly endpoint: UpstreamEndpoint;
  readonly address: SocketAddress;
}

/**
 * Where the next attempt of one call goes: an endpoint it has not tried, or, when there is none, an
 * address it has not tried (two gateways may lead to one endpoint, and one of them may be down).
 */
export function chooseTarget(
  endpoints: readonly UpstreamEndpoint[],
  tried: readonly Target[],
  selection: Omit<Selection, 'excluded'>,
): Target | undefined {
  const fresh = chooseEndpoint(endpoints, {
    ...selection,
    excluded: new Set(tried.map(target => target.endpoint.hash)),
  });
  if (fresh !== undefined) {
    const at = addressTurn(selection.turn, endpoints.length) % fresh.addresses.length;
    const address = fresh.addresses[at];
    return address === undefined ? undefined : { endpoint: fresh, address };
  }
  for (const { endpoint } of tried) {
    const address = endpoint.addresses.find(
      candidate =>
        !tried.some(target => target.endpoint === endpoint && target.address === candidate),
    );
    if (address !== undefined) return { endpoint, address };
  }
  return undefined;
}
