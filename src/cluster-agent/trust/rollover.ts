/**
 * Runs the rollover of this cluster's root: gathers the evidence, asks the gate, moves the authority, and
 * publishes what follows from it. What a step means is mesh/rollover.ts, what proves it rollover-gate.ts.
 *
 * The journal is written before anything else happens, and everything after it is done again at a start:
 * an agent that dies in between goes on where it was.
 */

import type { ClusterRecord } from '../../mesh/cluster.ts';
import type { Collection } from '../../mesh/collection.ts';
import { isMeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { isUnderWay, type Rollover } from '../../mesh/rollover.ts';
import {
  type ClusterEvidence,
  type Gate,
  gateOf,
  type RolloverEvidence,
  unprovenOf,
} from '../../mesh/rollover-gate.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { Laggard, TrustAck } from '../../mesh/trust-acks.ts';
import type { LastKnownGood } from '../../runtime/last-known-good.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep } from '../../runtime/supervise.ts';
import { Turns } from '../../runtime/turns.ts';
import {
  type AuthorityState,
  certificateId,
} from '../../trust-federation/authority/authority-journal.ts';
import type { ClusterAuthority } from '../../trust-federation/authority/cluster-authority.ts';
import type { ImportedRoot } from '../../trust-federation/authority/imported-root.ts';
import type { SvidLedger } from '../../trust-federation/authority/svid-ledger.ts';
import type { OwnBundle } from '../../trust-federation/bundles/own-bundle.ts';
import type { IdentityKeeper } from '../../trust-federation/identity/identity-keeper.ts';
import { ROLLOVER_CHECK_MS } from '../limits.ts';
import type { RegistrySubscriber } from '../registry/registry-subscriber.ts';

export interface RolloverOptions {
  readonly cluster: ClusterName;
  readonly authority: ClusterAuthority;
  readonly ownBundle: OwnBundle;
  /** The agent's own. */
  readonly identity: IdentityKeeper;
  readonly ledger: SvidLedger;
  readonly ledgerFile: Pick<LastKnownGood, 'flush'>;
  /** Of our own proxies. */
  readonly acks: Collection<TrustDomain, TrustAck>;
  readonly members: Collection<ClusterName, ClusterRecord>;
  readonly records: Pick<RegistrySubscriber, 'recordsOf'>;
  readonly log: Logger;
  readonly now: () => number;
}

export interface RolloverReport {
  readonly slots: AuthorityState['slots'];
  readonly rollover?: { readonly state: Rollover; readonly gate: Gate };
}

export class RolloverRunner {
  readonly name = 'rollover';
  readonly #options: RolloverOptions;
  /** A move with all that follows from it: in between a gate would be judged by the bundle before. */
  readonly #moves = new Turns();
  #starting = false;

  constructor(options: RolloverOptions) {
    this.#options = options;
  }

  report(): RolloverReport {
    const { slots, rollover } = this.#options.authority.state;
    if (rollover === undefined) return { slots };
    return { slots, rollover: { state: rollover, gate: this.#gate(rollover) } };
  }

  /** A root made elsewhere: a rollover to it, or no more than a new signer where it is in use already. */
  async import(imported: ImportedRoot, auto: boolean): Promise<void> {
    const { authority } = this.#options;
    if (!authority.isAnotherSigner(imported)) return this.start(auto, imported);
    return this.#move(() => authority.replaceSigner(imported));
  }

  /** To a root made here, unless one is brought. */
  start(auto: boolean, imported?: ImportedRoot): Promise<void> {
    const { authority, ledgerFile } = this.#options;
    return this.#move(async () => {
      this.#starting = true;
      try {
        await ledgerFile.flush();
        await authority.startRollover(auto, imported);
      } finally {
        this.#starting = false;
      }
    });
  }

  /**
   * Resolves once a certificate that was just issued may be handed out. During a rollover it is on disk by
   * then: that an old root is drained must be known after a crash too, and holders may stay silent.
   */
  async recorded(): Promise<void> {
    const { authority, ledgerFile } = this.#options;
    if (this.#starting || isUnderWay(authority.state.rollover)) await ledgerFile.flush();
  }

  /** Throws REQUEST_INVALID when the step is neither proven nor forced. */
  advance(forceReason?: string): Promise<void> {
    const { authority } = this.#options;
    return this.#move(() => {
      const { rollover } = authority.state;
      const unproven = isUnderWay(rollover) ? unprovenOf(this.#gate(rollover)) : undefined;
      return authority.moveRollover({
        kind: 'advance',
        unproven,
        ...(forceReason === undefined ? {} : { forceReason }),
      });
    });
  }

  abort(reason: string): Promise<void> {
    return this.#move(() => this.#options.authority.moveRollover({ kind: 'abort', reason }));
  }

  /** Everyone's certificate is replaced at once; returns how many proxies that is. */
  async rotateIntermediate(): Promise<number> {
    const { authority, identity, ledger, log } = this.#options;
    await authority.rotateIntermediate('retire');
    identity.renewNow();
    log.warn({}, 'intermediate rotated');
    return new Set(ledger.alive().map(({ lineage }) => lineage)).size;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { authority, log } = this.#options;
    while (!signal.aborted) {
      const { rollover } = authority.state;
      if (isUnderWay(rollover) && rollover.auto && this.#gate(rollover).lacking.length === 0) {
        try {
          await this.advance();
        } catch (error) {
          // An operator was quicker, or what was proven was the step before.
          if (!isMeshError(error)) throw error;
          log.warn({ error }, 'rollover not advanced');
        }
      }
      await sleep(ROLLOVER_CHECK_MS, signal);
    }
  }

  #move(change: () => Promise<void>): Promise<void> {
    const { authority, ownBundle, identity, log } = this.#options;
    return this.#moves.take(async () => {
      await change();
      await ownBundle.update();
      const { rollover } = authority.state;
      const [, issuer] = identity.current().chain;
      if (issuer !== undefined && !authority.isInStanding(certificateId(issuer))) {
        identity.renewNow();
      }
      log.warn({ ...rollover, history: rollover?.history.at(-1) }, 'rollover moved');
    });
  }

  #gate(rollover: Rollover): Gate {
    return gateOf(rollover, this.#evidence(rollover), this.#options.cluster);
  }

  #evidence(rollover: Rollover): RolloverEvidence {
    const { cluster, ownBundle, acks, members } = this.#options;
    const { trustDomain, sequence } = ownBundle.current();
    const own: ClusterEvidence = {
      cluster,
      freshness: { kind: 'live' },
      ack: acks.get(trustDomain),
    };
    const others = [...members.entries()].map(
      ([name, { freshness }]): ClusterEvidence => ({
        cluster: name,
        freshness,
        ack: this.#ackOf(name, trustDomain),
      }),
    );
    const undrained = this.#undrained(rollover);
    return { trustDomain, sequence, clusters: [own, ...others], undrained };
  }

  #ackOf(cluster: ClusterName, trustDomain: TrustDomain): TrustAck | undefined {
    const record = this.#options.records.recordsOf(cluster).get('trust-acks')?.record;
    if (record?.kind !== 'trust-acks') return undefined;
    return record.acks.find(ack => ack.trustDomain === trustDomain);
  }

  #undrained({ from }: Rollover): Laggard[] {
    const { authority, identity, ledger } = this.#options;
    const [, issuer] = identity.current().chain;
    const ours =
      issuer !== undefined && !authority.isInStanding(certificateId(issuer))
        ? [{ proxy: 'cluster-agent', lacks: 'has a certificate of the old root', sinceMs: 0 }]
        : [];
    const { incompleteUntilMs } = ledger;
    const unknown =
      incompleteUntilMs === undefined
        ? []
        : [
            {
              proxy: 'unknown',
              lacks: `may have a certificate that is not on record, until ${new Date(incompleteUntilMs).toISOString()}`,
              sinceMs: incompleteUntilMs,
            },
          ];
    const alive = ledger
      .alive()
      .filter(({ root }) => root === from)
      .map(({ id, issuedAtMs, notAfterMs }) => ({
        proxy: id,
        lacks: `has a certificate of the old root, good until ${new Date(notAfterMs).toISOString()}`,
        sinceMs: issuedAtMs,
      }));
    return [...ours, ...alive, ...unknown];
  }
}
