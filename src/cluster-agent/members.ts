/**
 * The clusters this one believes: what the registry says, past the rules of membership.
 *
 * The memory of whose trust domain is whose, and of each bundle's newest sequence, is as long as this
 * process and is filled again from the last known good view at the next start.
 */

import type { ClusterRecord } from '../mesh/cluster.ts';
import { type Collection, sameValue, Table } from '../mesh/collection.ts';
import { admitMembers, type Refusal, type TrustMemory } from '../mesh/membership.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import type { Logger } from '../runtime/log.ts';

export class Members {
  /** The other clusters; never our own. */
  readonly clusters = new Table<ClusterName, ClusterRecord>('members');
  readonly #own: { readonly name: ClusterName; readonly trustDomain: TrustDomain };
  readonly #log: Logger;
  #memory: TrustMemory = new Map();
  #refusals: readonly Refusal[] = [];

  constructor(
    own: { readonly name: ClusterName; readonly trustDomain: TrustDomain },
    records: Collection<ClusterName, ClusterRecord>,
    log: Logger,
  ) {
    this.#own = own;
    this.#log = log;
    records.observe(() => this.#admit(records));
    this.#admit(records);
  }

  /** What is not believed, and why. */
  refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  #admit(records: Collection<ClusterName, ClusterRecord>): void {
    const admitted = admitMembers(this.#own, records.entries().values(), this.#memory);
    for (const refusal of admitted.refusals) {
      const known = this.#refusals.some(earlier => sameValue(earlier, refusal));
      if (!known) this.#log.error({ ...refusal }, 'claim of another cluster refused');
    }
    this.#memory = admitted.memory;
    this.#refusals = admitted.refusals;
    this.clusters.replaceAll(admitted.members);
  }
}
