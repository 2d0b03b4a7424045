/**
 * The upstreams a proxy is told of, each with what it has lost on purpose: endpoints that were taken back
 * lately (withdrawals.ts), and those that a policy leaves out. What is missing for no such reason, the
 * proxy will keep (mesh/shrinkage.ts).
 */

import type { ImportedService } from '../../mesh/imports.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import { type EndpointHash, endpointHash, keyOf, type LocalService } from '../../mesh/service.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import type { Withdrawn } from '../withdrawals.ts';

export interface ToldUpstream {
  readonly upstream: Upstream;
  /** The service is no more: nobody is to call it, but what it had is still to be taken back. */
  readonly isGone: boolean;
  readonly withdrawn: readonly EndpointHash[];
}

/** By name: equal state must give equal bytes, in whatever order it was learned. */
export function toldUpstreams<S extends LocalService | ImportedService>(
  services: readonly S[],
  withdrawn: ReadonlyMap<ServiceKey, Withdrawn<S>>,
  upstreamsOf: (service: S) => readonly Upstream[],
): ToldUpstream[] {
  const tell = (service: S, isGone: boolean): ToldUpstream[] => {
    const taken = withdrawn.get(keyOf(service))?.endpoints ?? [];
    return upstreamsOf(service).map(upstream => ({
      upstream,
      isGone,
      withdrawn: [...taken, ...leftOut(service, upstream)],
    }));
  };
  const gone = [...withdrawn.values()].flatMap(each =>
    each.gone === undefined ? [] : [{ ...each.gone, endpoints: [] }],
  );
  return [
    ...services.flatMap(each => tell(each, false)),
    ...gone.flatMap(each => tell(each, true)),
  ].sort((a, b) => (a.upstream.name < b.upstream.name ? -1 : 1));
}

function leftOut(
  { endpoints }: LocalService | ImportedService,
  upstream: Upstream,
): EndpointHash[] {
  if (endpoints.length === upstream.endpoints.length) return [];
  const sent = new Set(upstream.endpoints.map(({ hash }) => hash));
  return endpoints
    .map(({ cluster, workload }) => endpointHash(cluster, workload))
    .filter(hash => !sent.has(hash));
}
