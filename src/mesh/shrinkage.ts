/**
 * The proxy's brake: an agent that suddenly knows much less is not believed at once.
 *
 * A loss of more than half of an upstream, or of more than half of all upstreams, counts only as far as
 * the agent says of each endpoint that it was withdrawn, or the proxy finds that it cannot be reached
 * any more. The rest stays in force: every endpoint proves who it is at each connection, so one kept too
 * long costs an attempt, while one dropped too soon may have been the last. What an agent that has lost
 * its memory does not say, the endpoints do.
 *
 * Pure: what was in force and what is said now go in, what is in force next comes out.
 */

import type { EndpointHash } from './service.ts';
import type { Upstream, UpstreamEndpoint, UpstreamName } from './upstream.ts';

export interface SaidUpstream {
  readonly upstream: Upstream;
  /** Endpoints that were there and have been taken back on purpose. */
  readonly withdrawn: ReadonlySet<EndpointHash>;
}

export interface Braked {
  readonly upstreams: ReadonlyMap<UpstreamName, Upstream>;
  /** What is in force although it is no longer said. */
  readonly held: ReadonlyMap<UpstreamName, readonly UpstreamEndpoint[]>;
}

/** `unreachable`: what this proxy found of endpoints that were held before. */
export function brake(
  inForce: ReadonlyMap<UpstreamName, Upstream>,
  said: ReadonlyMap<UpstreamName, SaidUpstream>,
  unreachable: ReadonlySet<string>,
): Braked {
  const upstreams = new Map<UpstreamName, Upstream>();
  const held = new Map<UpstreamName, readonly UpstreamEndpoint[]>();
  const hold = (upstream: Upstream, endpoints: readonly UpstreamEndpoint[]): void => {
    upstreams.set(upstream.name, {
      ...upstream,
      endpoints: [...upstream.endpoints, ...endpoints].sort((a, b) => a.priority - b.priority),
    });
    held.set(upstream.name, endpoints);
  };
  for (const [name, { upstream, withdrawn }] of said) {
    const before = inForce.get(name)?.endpoints ?? [];
    const present = new Set(upstream.endpoints.map(({ hash }) => hash));
    const missing = before.filter(
      ({ hash }) =>
        !present.has(hash) && !withdrawn.has(hash) && !unreachable.has(endpointKey(name, hash)),
    );
    if (isMost(missing, before)) hold(upstream, missing);
    else upstreams.set(name, upstream);
  }
  const serving = [...inForce.values()].filter(({ endpoints }) => endpoints.length > 0);
  const missing = serving.flatMap(upstream => {
    const { name } = upstream;
    if (said.has(name)) return [];
    const endpoints = upstream.endpoints.filter(
      ({ hash }) => !unreachable.has(endpointKey(name, hash)),
    );
    return endpoints.length === 0 ? [] : [{ upstream, endpoints }];
  });
  if (isMost(missing, serving)) {
    for (const { upstream, endpoints } of missing) hold({ ...upstream, endpoints: [] }, endpoints);
  }
  return { upstreams, held };
}

export function endpointKey(upstream: UpstreamName, hash: EndpointHash): string {
  return `${upstream} ${hash}`;
}

function isMost(part: readonly unknown[], whole: readonly unknown[]): boolean {
  return part.length * 2 > whole.length;
}
