/**
 * What was refused, for those who have to know: the journal, and the cluster whose name a second agent
 * claimed. Written at a bounded rate and only if the store takes it, so that a member that is refused
 * again and again costs the others nothing.
 */

import type { ErrorCode, MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { Logger } from '../../runtime/log.ts';
import { RateLimit } from '../../runtime/rate-limit.ts';
import { Rival } from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { rivalKey } from '../keys.ts';
import { AUDIT_REFUSALS_PER_MINUTE_MAX } from '../limits.ts';
import type { RegistryMetrics } from '../metrics.ts';
import type { AuditJournal } from '../operators/audit.ts';
import type { Commit, RegistryStore } from '../store/store.ts';

export interface RefusalsOptions {
  readonly store: RegistryStore;
  readonly journal: AuditJournal;
  readonly clusterSet: TrustDomain;
  readonly metrics: RegistryMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

/** Somebody asked for what they may not have; the rest is weather. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PERMISSION_DENIED',
  'REQUEST_INVALID',
  'LIMIT_EXCEEDED',
  'INSTANCE_CONFLICT',
]);

/** Of a name that the caller chose; ours are UUIDs. */
const INSTANCE_CHARS_SHOWN_MAX = 80;

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #rate: RateLimit;

  constructor(options: RefusalsOptions) {
    this.#options = options;
    const perSecond = AUDIT_REFUSALS_PER_MINUTE_MAX / 60;
    this.#rate = new RateLimit(perSecond, AUDIT_REFUSALS_PER_MINUTE_MAX, options.now);
  }

  /** `named` and `address`: what the agent that asked calls itself, and where it is. */
  note(error: MeshError, caller: ClusterName, named: string, address: string): void {
    const { metrics, log } = this.#options;
    if (!REFUSALS.has(error.code)) return;
    const instance = named.slice(0, INSTANCE_CHARS_SHOWN_MAX);
    log.warn({ error, cluster: caller, instance, address }, 'publish refused');
    const rival = error.code === 'INSTANCE_CONFLICT';
    if (rival) metrics.rivals.inc();
    if (!this.#rate.take()) return;
    const commit: Commit = {
      puts: rival ? [{ key: rivalKey(caller), value: this.#rival(instance, address) }] : [],
      deletes: [],
    };
    this.#write(commit, caller, `${error.code}: ${error.message}`).catch((failure: unknown) =>
      log.warn({ error: failure }, 'refusal not written to the journal'),
    );
  }

  #rival(instance: string, address: string): Uint8Array {
    const atMs = BigInt(this.#options.now());
    return Rival.encode({ instance, address, atMs }).finish();
  }

  async #write(commit: Commit, caller: ClusterName, why: string): Promise<void> {
    const { store, journal, clusterSet } = this.#options;
    const change = { action: 'refused', subject: caller, before: '', after: why } as const;
    await store.commit(journal.into(commit, memberId(clusterSet, caller), [change]));
  }
}
