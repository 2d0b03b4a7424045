/**
 * The clusters this one believes: what the registry says, past the rules of membership.
 *
 * Whose trust domain is whose, the newest version of each bundle and every revocation are remembered on
 * disk, in a file of their own: losing the view of the registry must not mean trusting anew. What is
 * refused is logged once, counted, and shown for as long as it is claimed.
 */

import { join } from 'node:path';
import type { BundleProofs } from '../../mesh/bundle-succession.ts';
import type { ClusterClaim, ClusterRecord } from '../../mesh/cluster.ts';
import type { ClusterRevocation } from '../../mesh/cluster-revocation.ts';
import { type Collection, sameValue, Table } from '../../mesh/collection.ts';
import { messageOf } from '../../mesh/errors.ts';
import type { Intent, IntentKey } from '../../mesh/intent.ts';
import {
  admitMembers,
  NO_MEMORY,
  type Refusal,
  rememberedBundles,
  rememberRevocations,
  type Self,
  type TrustMemory,
} from '../../mesh/membership.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { LastKnownGood } from '../../runtime/last-known-good.ts';
import type { Logger } from '../../runtime/log.ts';
import { formatTrustMemory, parseTrustMemory } from '../../wire/trust-memory.ts';
import { TRUST_MEMORY_DELAY_MS } from '../limits.ts';

export interface MembersOptions {
  readonly own: Self;
  readonly claims: Collection<ClusterName, ClusterClaim>;
  readonly intents: Collection<IntentKey, Intent>;
  readonly proofs: BundleProofs;
  /** Throws a MeshError for a statement that the ClusterSet's authority did not make. */
  readonly readRevocation: (statement: Uint8Array) => ClusterRevocation;
  readonly stateDir: string;
  readonly onRefused: (kind: Refusal['kind']) => void;
  readonly log: Logger;
}

export class Members {
  readonly name = 'trust-memory';
  /** The other clusters; never our own, never a revoked one. */
  readonly clusters = new Table<ClusterName, ClusterRecord>('members');
  /** Roots of the other clusters, also of those that the registry shows no more; empty when revoked. */
  readonly bundles = new Table<TrustDomain, TrustBundle>('members-bundles');
  readonly #options: MembersOptions;
  readonly #file: LastKnownGood;
  #memory: TrustMemory = NO_MEMORY;
  #refusals: readonly Refusal[] = [];

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#file = new LastKnownGood({
      path: join(options.stateDir, 'trust-memory'),
      serialise: () => formatTrustMemory(this.#memory),
      delayMs: TRUST_MEMORY_DELAY_MS,
      log: options.log,
    });
  }

  /** Before anything of the registry's is looked at. */
  async load(): Promise<void> {
    this.#memory = (await this.#file.load(parseTrustMemory)) ?? NO_MEMORY;
    this.#admit();
    this.#options.claims.observe(() => this.#admit());
    this.#options.intents.observe(() => this.#admit());
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#file.run(signal);
  }

  /** What is not believed, and why. */
  refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  /** The newest statement about each cluster, those restored included. */
  revocations(): readonly ClusterRevocation[] {
    return [...this.#memory.revocations.values()];
  }

  #admit(): void {
    const { own, claims, proofs } = this.#options;
    const before = this.#memory;
    const { revocations, unbelieved } = this.#readRevocations();
    const remembered = rememberRevocations(before, revocations);
    const admitted = admitMembers(own, claims.entries().values(), remembered, proofs);
    this.#memory = admitted.memory;
    this.#report([...unbelieved, ...admitted.refusals]);
    if (!sameMemory(before, admitted.memory)) this.#file.touch();
    // Roots first: an endpoint must not be known before those who may vouch for it.
    this.bundles.replaceAll(rememberedBundles(admitted.memory));
    this.clusters.replaceAll(admitted.members);
  }

  #readRevocations(): { revocations: ClusterRevocation[]; unbelieved: Refusal[] } {
    const revocations: ClusterRevocation[] = [];
    const unbelieved: Refusal[] = [];
    for (const intent of this.#options.intents.entries().values()) {
      if (intent.kind !== 'cluster-revocation') continue;
      const { cluster, statement } = intent;
      try {
        revocations.push(this.#options.readRevocation(statement));
      } catch (error) {
        const message = messageOf(error);
        unbelieved.push({ cluster, kind: 'revocation-not-believed', message });
      }
    }
    return { revocations, unbelieved };
  }

  #report(refusals: readonly Refusal[]): void {
    const { log, onRefused } = this.#options;
    for (const refusal of refusals) {
      if (this.#refusals.some(earlier => sameValue(earlier, refusal))) continue;
      onRefused(refusal.kind);
      log.error({ ...refusal }, 'claim of another cluster refused');
    }
    this.#refusals = refusals;
  }
}

function sameMemory(a: TrustMemory, b: TrustMemory): boolean {
  return (
    sameValue([...a.bundles], [...b.bundles]) && sameValue([...a.revocations], [...b.revocations])
  );
}
