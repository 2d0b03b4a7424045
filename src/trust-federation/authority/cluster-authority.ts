/**
 * A cluster's own certificate authority: its roots rest in the agent's state directory, its intermediate
 * lives in this process.
 *
 * Workload SVIDs come from the intermediate of the active root, which may sign for this trust domain
 * alone. Its key never touches a disk: each start makes one, and again at half its life. Its hash is
 * journaled before it signs, so that it is known of every certificate whether its issuer still stands.
 */

import type { KeyObject } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { nextRollover, type RolloverEvent } from '../../mesh/rollover.ts';
import type { RootId } from '../../mesh/root-slots.ts';
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { sleep } from '../../runtime/supervise.ts';
import { Turns } from '../../runtime/turns.ts';
import type { StatementSigner } from '../bundles/statement-signature.ts';
import { WORKLOAD_TTL_MS_MAX } from '../limits.ts';
import {
  type AuthoritySubject,
  INTERMEDIATE_TTL_MS,
  issueLeaf,
  type Signer,
} from '../x509/certificate.ts';
import {
  type AuthorityState,
  activeRoot,
  certificateId,
  type HeldRoot,
  type RootHolding,
  type SigningRoot,
  signerIn,
  withIssuer,
  withPlan,
  writeAuthority,
} from './authority-journal.ts';
import { holdingOf, type ImportedRoot } from './imported-root.ts';
import { makeHeldRoot, makeIntermediate } from './make-signer.ts';
import { bundleOf } from './root-file.ts';

/** How often the intermediate's age is looked at. */
const AGE_CHECK_MS = 60_000;

export interface WorkloadRequest {
  readonly publicKey: KeyObject;
  /** The same, DER, where it is at hand. */
  readonly spki?: Buffer;
  readonly id: SpiffeId;
  /** At most WORKLOAD_TTL_MS_MAX. */
  readonly ttlMs: number;
}

export interface IssuedSvid {
  /** DER, leaf first, without the root. */
  readonly chain: readonly [leaf: Buffer, intermediate: Buffer, ...above: Buffer[]];
  readonly root: RootId;
}

export interface ClusterAuthorityOptions {
  readonly dir: string;
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  /** Whoever is revoked gets no certificate; without it nobody is. */
  readonly isRevoked?: (id: SpiffeId) => boolean;
  readonly now: () => number;
}

export class ClusterAuthority {
  readonly name = 'cluster-authority';
  readonly #options: ClusterAuthorityOptions;
  readonly #subject: AuthoritySubject;
  #state: AuthorityState;
  #intermediate: Signer;
  readonly #turns = new Turns();

  /** Use `openClusterAuthority`, which sees that the state is fit to start with. */
  constructor(
    options: ClusterAuthorityOptions,
    subject: AuthoritySubject,
    state: AuthorityState,
    intermediate: Signer,
  ) {
    this.#options = options;
    this.#subject = subject;
    this.#state = state;
    this.#intermediate = intermediate;
  }

  get trustDomain(): TrustDomain {
    return this.#subject.trustDomain;
  }

  /** As journaled. */
  get state(): AuthorityState {
    return this.#state;
  }

  /** Throws CSR_REFUSED for an ID of another trust domain or a revoked one. The caller has attested it. */
  issue(request: WorkloadRequest): IssuedSvid {
    const { id, ttlMs } = request;
    const { trustDomain } = this.#subject;
    if (trustDomainOf(id) !== trustDomain) {
      throw new MeshError(
        'CSR_REFUSED',
        `"${id}" is not in trust domain "${trustDomain}", the only one this authority signs for`,
      );
    }
    if (this.#options.isRevoked?.(id) === true) {
      throw new MeshError(
        'CSR_REFUSED',
        `"${id}" is revoked; "isthmus trust restore" gives it back`,
      );
    }
    if (!(ttlMs > 0 && ttlMs <= WORKLOAD_TTL_MS_MAX)) {
      throw new RangeError(`ttlMs ${ttlMs} must be above 0 and at most ${WORKLOAD_TTL_MS_MAX}`);
    }
    const nowMs = this.#options.now();
    requireUnexpired(this.#intermediate, nowMs);
    const leaf = issueLeaf(request, this.#intermediate, nowMs);
    const { id: root, intermediate: above } = this.#root();
    const chain = [leaf, this.#intermediate.certificate.der] as const;
    return { chain: above === undefined ? chain : [...chain, above.der], root };
  }

  /** The roots of every slot that is not revoked, in an order that no step changes. */
  bundle(): TrustBundle {
    const roots = this.#trusted().map(({ certificate }) => certificate);
    return bundleOf(roots, this.#subject.trustDomain);
  }

  /** Every root key at hand, for signing what this cluster says about its trust. */
  statementSigners(): readonly StatementSigner[] {
    return this.#trusted().flatMap(({ key, certificate, intermediate }) =>
      key === undefined ? [] : [{ key, chain: [(intermediate ?? certificate).der] }],
    );
  }

  /** Whether certificates that this intermediate (SHA-256, hex) has signed may stay in use. */
  isInStanding(issuerSha256: string): boolean {
    const root = this.#state.slots.find(({ id }) => id === this.rootOf(issuerSha256));
    return root?.state === 'active' || root?.state === 'prepared';
  }

  /** The root that signed this intermediate (SHA-256, hex); undefined for one that is not on record. */
  rootOf(issuerSha256: string): RootId | undefined {
    return this.#state.issuers.find(({ id }) => id === issuerSha256)?.root;
  }

  /**
   * Announces a root, one made here unless another was brought. Throws REQUEST_INVALID while another
   * rollover is under way, or for a root that is known.
   */
  startRollover(auto: boolean, imported?: ImportedRoot): Promise<void> {
    return this.#turns.take(() => {
      const added =
        imported === undefined
          ? makeHeldRoot(this.#subject, this.#options.now())
          : holdingOf(imported);
      const root = certificateId(added.certificate.der);
      if (this.#state.slots.some(({ id }) => id === root)) {
        throw new MeshError('REQUEST_INVALID', `root ${root.slice(0, 16)} is known already`);
      }
      return this.#step({ kind: 'start', root, auto }, added);
    });
  }

  /** Whether it is the root in use, with another CA under it than the one that signs now. */
  isAnotherSigner({ root, signer }: ImportedRoot): boolean {
    const inUse = this.#root();
    return (
      certificateId(root.der) === inUse.id &&
      !signer.certificate.der.equals(signerIn(inUse).certificate.der)
    );
  }

  /** Signs with another CA under the same root, before the one in use ends; what that signed stays good. */
  replaceSigner(imported: ImportedRoot): Promise<void> {
    return this.#turns.take(() => {
      const { id } = this.#root();
      const slots = this.#state.slots.map(slot =>
        slot.id === id ? { ...slot, ...holdingOf(imported) } : slot,
      );
      return this.#enter(
        { ...this.#state, slots },
        makeIntermediate(this.#subject, imported.signer, this.#options.now()),
      );
    });
  }

  /** The caller has judged the gate. Throws REQUEST_INVALID with the reason why not. */
  moveRollover(event: Exclude<RolloverEvent, { readonly kind: 'start' }>): Promise<void> {
    return this.#turns.take(() => this.#step(event, undefined));
  }

  /** 'retire': what earlier intermediates signed has to be replaced. 'keep': it stays good. */
  rotateIntermediate(earlier: 'keep' | 'retire'): Promise<void> {
    return this.#turns.take(() => {
      const state = earlier === 'keep' ? this.#state : { ...this.#state, issuers: [] };
      const signer = signerIn(this.#root());
      return this.#enter(state, makeIntermediate(this.#subject, signer, this.#options.now()));
    });
  }

  /** A new intermediate at half the life of the old one, as long as the root gives it more time. */
  async refreshIntermediate(): Promise<void> {
    const nowMs = this.#options.now();
    const { notBeforeMs, notAfterMs } = this.#intermediate.certificate;
    const nextNotAfterMs = Math.min(
      nowMs + INTERMEDIATE_TTL_MS,
      signerIn(this.#root()).certificate.notAfterMs,
    );
    const halfGone = nowMs > (notBeforeMs + notAfterMs) / 2 && nextNotAfterMs > notAfterMs;
    // The clock was set back to before it was made.
    if (halfGone || nowMs < notBeforeMs) await this.rotateIntermediate('keep');
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refreshIntermediate();
      await sleep(AGE_CHECK_MS, signal);
    }
  }

  async #step(event: RolloverEvent, added: RootHolding | undefined): Promise<void> {
    const nowMs = this.#options.now();
    const result = nextRollover(this.#state, event, nowMs);
    if (result.kind === 'refused') throw new MeshError('REQUEST_INVALID', result.message);
    const state = withPlan(this.#state, result.plan, added);
    const root = activeRoot(state);
    if (root === undefined) throw new Error('a rollover left no active root');
    const same = root.id === this.#root().id;
    await this.#enter(
      state,
      same ? this.#intermediate : makeIntermediate(this.#subject, signerIn(root), nowMs),
    );
  }

  /** Journals first, uses after. */
  async #enter(state: AuthorityState, intermediate: Signer): Promise<void> {
    const { dir, now } = this.#options;
    const root = activeRoot(state);
    if (root === undefined) throw new Error('an authority has no active root');
    const next = withIssuer(state, certificateId(intermediate.certificate.der), root.id, now());
    await writeAuthority(dir, next);
    this.#state = next;
    this.#intermediate = intermediate;
  }

  #root(): SigningRoot {
    const root = activeRoot(this.#state);
    if (root === undefined) throw new Error('an authority has no active root');
    return root;
  }

  #trusted(): readonly HeldRoot[] {
    return this.#state.slots.filter(({ state }) => state !== 'revoked');
  }
}

/** Throws CERTIFICATE_INVALID. */
export function requireUnexpired({ certificate }: Signer, nowMs: number): void {
  if (nowMs <= certificate.notAfterMs) return;
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `the authority expired at ${new Date(certificate.notAfterMs).toISOString()}, the clock here says ${new Date(nowMs).toISOString()}; stop the agent and run "isthmus trust replace-root"`,
  );
}
