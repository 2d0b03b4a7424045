/**
 * Which of two agents that claim to be one cluster is believed (docs/decisions/0040).
 *
 * While a cluster's lease lives, its records belong to the agent process that its config names. Another
 * one is refused, unless it can name that process as its own predecessor: then it is the same member,
 * restarted, and takes over at once. Without a lease there is nobody to protect.
 */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { RegistryTable } from '../table/table.ts';

export interface Claim {
  /** Empty: a caller that does not say which process it is, as earlier versions. */
  readonly instance: string;
  readonly previous: readonly string[];
}

/** Throws INSTANCE_CONFLICT naming who holds the cluster, since when, and what to do. */
export function checkInstance(table: RegistryTable, cluster: ClusterName, claim: Claim): void {
  const holder = holderOf(table, cluster);
  if (holder === undefined || claim.instance === '') return;
  if (claim.instance === holder.instance || claim.previous.includes(holder.instance)) return;
  const since = new Date(holder.startedMs).toISOString();
  throw new MeshError(
    'INSTANCE_CONFLICT',
    `cluster "${cluster}" is held by agent "${holder.instance}", running since ${since}, and its lease is alive; stop one of the two, or give this one a name of its own. If that agent is gone, this one takes over when its lease ends`,
    { details: { holder: holder.instance } },
  );
}

/** The live agent of a cluster. */
function holderOf(
  table: RegistryTable,
  cluster: ClusterName,
): { readonly instance: string; readonly startedMs: number } | undefined {
  const isAlive = table.record(cluster, { kind: 'alive' }) !== undefined;
  return isAlive ? table.configs.get(cluster) : undefined;
}
