/**
 * Where each service's load would go if a cluster were drained, and whether there is room.
 *
 * Pure: the services as some agent imports them. Room is known where every endpoint that stays says its
 * capacity (concurrent requests); elsewhere the answer is how many endpoints stay, and that is said.
 */

import type { ClusterName } from '../../mesh/names.ts';

/** As an agent's `/debug/imports` shows it. */
export interface DrillService {
  readonly namespace: string;
  readonly name: string;
  readonly endpoints: readonly DrillEndpoint[];
}

export interface DrillEndpoint {
  readonly cluster: string;
  /** Concurrent requests it can take. */
  readonly capacity?: number;
  /** Of its capacity, percent. */
  readonly load?: number;
}

export type Verdict =
  /** In concurrent requests. */
  | { readonly kind: 'room'; readonly needed: number; readonly free: number }
  /** Endpoints stay, but not all of them say what they can take. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'too-little'; readonly needed: number; readonly free: number }
  | { readonly kind: 'nobody-else' };

export interface Forecast {
  readonly service: string;
  /** Endpoints that would be drained. */
  readonly leaving: number;
  /** Cluster → endpoints that would take over. */
  readonly staying: ReadonlyMap<string, number>;
  readonly verdict: Verdict;
}

/** Of the services that the cluster backs, sorted. */
export function forecastDrain(services: readonly DrillService[], cluster: ClusterName): Forecast[] {
  return services
    .filter(({ endpoints }) => endpoints.some(endpoint => endpoint.cluster === cluster))
    .map(({ namespace, name, endpoints }) => {
      const leaving = endpoints.filter(endpoint => endpoint.cluster === cluster);
      const staying = endpoints.filter(endpoint => endpoint.cluster !== cluster);
      return {
        service: `${namespace}/${name}`,
        leaving: leaving.length,
        staying: countBy(staying, endpoint => endpoint.cluster),
        verdict: verdictOn(leaving, staying),
      };
    })
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** Whether a drill may go on without being forced. */
export function isSafe({ verdict }: Forecast): boolean {
  return verdict.kind === 'room' || verdict.kind === 'unknown';
}

function verdictOn(leaving: readonly DrillEndpoint[], staying: readonly DrillEndpoint[]): Verdict {
  if (staying.length === 0) return { kind: 'nobody-else' };
  const needed = sumOf(leaving, inFlight);
  const free = sumOf(staying, ({ capacity, load }) =>
    capacity === undefined ? undefined : Math.max(0, capacity * (1 - (load ?? 0) / 100)),
  );
  if (needed === undefined || free === undefined) return { kind: 'unknown' };
  return { kind: needed <= free ? 'room' : 'too-little', needed, free };
}

function inFlight({ capacity, load }: DrillEndpoint): number | undefined {
  return capacity === undefined ? undefined : (capacity * (load ?? 0)) / 100;
}

/** Undefined when one of them is not known. */
function sumOf<T>(items: readonly T[], of: (item: T) => number | undefined): number | undefined {
  let total = 0;
  for (const item of items) {
    const value = of(item);
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

function countBy<T>(items: readonly T[], of: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(of(item), (counts.get(of(item)) ?? 0) + 1);
  return counts;
}
