/**
 * The withdrawal brake: what leaves a service all at once, and nobody accountable said so, stays.
 *
 * More than half of a service's endpoints of one cluster leave only when that cluster's living agent
 * withdrew them (its lease is held: an honest scale-down, however deep, is never held back) or when the
 * cluster was probed and is dead. Otherwise the loss says more about the registry than about the
 * endpoints: they stay, visibly, until one of the two is true or they are published again.
 */

import type { WorkloadName } from './names.ts';
import { type Endpoint, type ExportedService, keyOf } from './service.ts';

export interface HeldService {
  readonly service: string;
  readonly endpoints: readonly WorkloadName[];
}

export interface BrakedExports {
  readonly exports: readonly ExportedService[];
  readonly held: readonly HeldService[];
}

/** `vouched` is what the cluster's living agent said last. */
export function brakeWithdrawals(
  vouched: readonly ExportedService[],
  after: readonly ExportedService[],
): BrakedExports {
  if (vouched === after) return { exports: after, held: [] };
  const remaining = new Map(after.map(service => [keyOf(service), service]));
  const held: HeldService[] = [];
  for (const service of vouched) {
    const key = keyOf(service);
    const successor = remaining.get(key);
    const missing = missingFrom(successor, service.endpoints);
    if (missing.length * 2 <= service.endpoints.length) continue;
    held.push({ service: key, endpoints: missing.map(({ workload }) => workload) });
    remaining.set(key, {
      ...(successor ?? service),
      endpoints: [...(successor?.endpoints ?? []), ...missing],
    });
  }
  const exports = [...remaining.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return { exports, held };
}

function missingFrom(
  successor: ExportedService | undefined,
  endpoints: readonly Endpoint[],
): readonly Endpoint[] {
  const kept = new Set(successor?.endpoints.map(({ workload }) => workload));
  return endpoints.filter(({ workload }) => !kept.has(workload));
}
