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

/** What is in force of an upstream next. */
export interface Braked {
  /** Undefined: it is no more. */
  readonly upstream: Upstream | undefined;
  /** Of its endpoints, those in force although they are no longer said. */
  readonly held: readonly UpstreamEndpoint[];
}

/**
 * `said`: the upstreams to judge, undefined for one that is not said any more; what is held must be among
 * them. All others stay as they are. `unreachable`: what this proxy found of endpoints that were held before.
 */
export function brake(
  inForce: ReadonlyMap<UpstreamName, Upstream>,
  said: ReadonlyMap<UpstreamName, SaidUpstream | undefined>,
  unreachable: ReadonlySet<string>,
): ReadonlyMap<UpstreamName, Braked> {
  const next = new Map<UpstreamName, Braked>();
  const missing: [UpstreamName, Braked][] = [];
  for (const [name, now] of said) {
    const before = inForce.get(name);
    const present = new Set(now?.upstream.endpoints.map(({ hash }) => hash));
    const lost = (before?.endpoints ?? []).filter(
      ({ hash }) =>
        !present.has(hash) &&
        now?.withdrawn.has(hash) !== true &&
        !unreachable.has(endpointKey(name, hash)),
    );
    if (now === undefined) {
      next.set(name, { upstream: undefined, held: [] });
      if (before !== undefined && lost.length > 0) missing.push([name, hold(before, [], lost)]);
    } else if (isMost(lost.length, before?.endpoints.length ?? 0)) {
      next.set(name, hold(now.upstream, now.upstream.endpoints, lost));
    } else next.set(name, { upstream: now.upstream, held: [] });
  }
  if (missing.length > 0 && isMost(missing.length, countServing(inForce))) {
    for (const [name, held] of missing) next.set(name, held);
  }
  return next;
}

function hold(
  upstream: Upstream,
  said: readonly UpstreamEndpoint[],
  held: readonly UpstreamEndpoint[],
): Braked {
  const endpoints = [...said, ...held].sort((a, b) => a.priority - b.priority);
  return { upstream: { ...upstream, endpoints }, held };
}

function countServing(upstreams: ReadonlyMap<UpstreamName, Upstream>): number {
  let serving = 0;
  for (const { endpoints } of upstreams.values()) if (endpoints.length > 0) serving++;
  return serving;
}

export function endpointKey(upstream: UpstreamName, hash: EndpointHash): string {
  return `${upstream} ${hash}`;
}

function isMost(part: number, whole: number): boolean {
  return part * 2 > whole;
}
