/**
 * What a cluster offers the others, cut into slices small enough for the registry.
 *
 * An endpoint keeps its slice for as long as it lives, so one endpoint's change rewrites one slice.
 */

import type { WorkloadName } from './names.ts';
import type { Endpoint, ExportedService, LocalService } from './service.ts';

export interface EndpointSlice {
  readonly slice: number;
  readonly endpoints: readonly Endpoint[];
}

export function exportedService(service: LocalService): ExportedService | undefined {
  if (!service.exported) return undefined;
  const { namespace, name, ports, exportTo, endpoints } = service;
  return { namespace, name, ports, exportTo, endpoints };
}

/**
 * `previous` is where each workload was before, and stays, also in a slice that is bigger than slices are
 * made now. Slice 0 is always there, so that a service without endpoints stays known; other slices go when
 * they are empty.
 */
export function sliceEndpoints(
  endpoints: readonly Endpoint[],
  previous: ReadonlyMap<WorkloadName, number>,
  endpointsMax: number,
): EndpointSlice[] {
  const slices = new Map<number, Endpoint[]>([[0, []]]);
  const place = (endpoint: Endpoint, slice: number): void => {
    const members = slices.get(slice);
    if (members === undefined) slices.set(slice, [endpoint]);
    else members.push(endpoint);
  };
  const hasRoom = (slice: number): boolean => (slices.get(slice)?.length ?? 0) < endpointsMax;

  const homeless: Endpoint[] = [];
  for (const endpoint of byWorkload(endpoints)) {
    const slice = previous.get(endpoint.workload);
    if (slice !== undefined) place(endpoint, slice);
    else homeless.push(endpoint);
  }
  let free = 0;
  for (const endpoint of homeless) {
    while (!hasRoom(free)) free += 1;
    place(endpoint, free);
  }
  return [...slices]
    .sort(([a], [b]) => a - b)
    .map(([slice, members]) => ({ slice, endpoints: byWorkload(members) }));
}

function byWorkload(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...endpoints].sort((a, b) => (a.workload < b.workload ? -1 : 1));
}
