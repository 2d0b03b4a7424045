/**
 * This cluster's own trust bundle: the one place that numbers its versions, signs them and remembers them.
 *
 * What the authority trusts and what operators revoked goes in; a version goes out to this cluster's
 * proxies (`bundles`) and, in its envelope, to everyone else (`offer`). A version is on disk before
 * anyone sees it, so a crash neither loses a revocation nor gives one number to two versions.
 */

import { join } from 'node:path';
import { sameValue, Table } from '../../mesh/collection.ts';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { BundleOffer, SignedBundle } from '../../mesh/signed-bundle.ts';
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { readStateFile, writeStateFile } from '../../runtime/state-file.ts';
import { Turns } from '../../runtime/turns.ts';
import { BUNDLE_REVOKED_MAX, formatBundleDocument } from '../../wire/bundle-document.ts';
import {
  formatOwnBundle,
  type OwnBundleState,
  parseOwnBundle,
  type RevokedIdentity,
} from '../../wire/own-bundle-state.ts';
import { PREDECESSORS_MAX } from '../../wire/signed-statement.ts';
import { OWN_BUNDLE_BYTES_MAX } from '../limits.ts';
import { signEnvelope } from './bundle-envelope.ts';
import type { StatementSigner } from './statement-signature.ts';

export interface OwnBundleOptions {
  readonly stateDir: string;
  readonly clusterSet: TrustDomain;
  readonly cluster: ClusterName;
  /** What the next version is to hold; its `revoked` is ignored, its sequence is a lower bound. */
  readonly content: () => TrustBundle;
  /** Asked at each signature: every root key the cluster holds. */
  readonly rootSigners: () => readonly StatementSigner[];
  readonly member: () => StatementSigner;
  readonly log: Logger;
  readonly now: () => number;
}

export class OwnBundle {
  /** One row: the version in force. */
  readonly bundles = new Table<TrustDomain, TrustBundle>('own-bundle');
  readonly #options: OwnBundleOptions;
  readonly #path: string;
  #state: OwnBundleState | undefined;
  readonly #turns = new Turns();

  /** Throws FILE_CORRUPT, FILE_PERMISSIONS: numbering must not start again by accident. */
  static async open(options: OwnBundleOptions): Promise<OwnBundle> {
    const own = new OwnBundle(options);
    const content = await readStateFile(own.#path);
    if (content !== undefined) own.#state = own.#parse(content);
    await own.update();
    return own;
  }

  private constructor(options: OwnBundleOptions) {
    this.#options = options;
    this.#path = join(options.stateDir, 'own-bundle');
  }

  current(): TrustBundle {
    return this.#inForce().current.bundle;
  }

  /** For the registry: the version in force and the way to it. */
  offer(): BundleOffer {
    const { current, transitions } = this.#inForce();
    return {
      current,
      predecessors: transitions
        .filter(({ bundle }) => bundle.sequence < current.bundle.sequence)
        .slice(-PREDECESSORS_MAX),
    };
  }

  revoked(): readonly RevokedIdentity[] {
    return this.#inForce().revoked;
  }

  isRevoked(id: SpiffeId): boolean {
    return this.current().revoked.includes(id);
  }

  /** Makes and publishes the next version if anything in it has changed. Call after `content` did. */
  update(): Promise<TrustBundle> {
    return this.#turns.take(() => this.#advance(this.#state?.revoked ?? []));
  }

  /** Resolves once it is on disk and on its way. Throws REQUEST_INVALID, LIMIT_EXCEEDED. */
  async revoke(id: SpiffeId, reason: string): Promise<TrustBundle> {
    const { trustDomain } = this.current();
    if (trustDomainOf(id) !== trustDomain) {
      throw new MeshError(
        'REQUEST_INVALID',
        `"${id}" is not of trust domain "${trustDomain}"; revoke it at its own cluster`,
      );
    }
    return this.#turns.take(() => {
      const others = this.revoked().filter(each => each.id !== id);
      if (others.length >= BUNDLE_REVOKED_MAX) {
        throw new MeshError(
          'LIMIT_EXCEEDED',
          `${others.length} identities are revoked already, which is the most a bundle carries; restore those that no longer have certificates`,
        );
      }
      return this.#advance([...others, { id, atMs: this.#options.now(), reason }]);
    });
  }

  /** Throws REQUEST_INVALID for an identity that is not revoked. */
  restore(id: SpiffeId): Promise<TrustBundle> {
    return this.#turns.take(() => {
      const others = this.revoked().filter(each => each.id !== id);
      if (others.length === this.revoked().length) {
        throw new MeshError('REQUEST_INVALID', `"${id}" is not revoked`);
      }
      return this.#advance(others);
    });
  }

  async #advance(revoked: readonly RevokedIdentity[]): Promise<TrustBundle> {
    const { log, member, rootSigners, clusterSet, cluster, content, now } = this.#options;
    const before = this.#state;
    const wanted = { ...content(), revoked: revoked.map(({ id }) => id).sort() };
    const bundle = nextVersion(before?.current.bundle, wanted, now());
    const signers = [member(), ...rootSigners()];
    if (before !== undefined && isSignedBy(before.current, bundle, signers)) {
      this.bundles.put(bundle.trustDomain, bundle);
      return bundle;
    }
    const size = formatBundleDocument(bundle).length;
    if (size > OWN_BUNDLE_BYTES_MAX) {
      throw new MeshError(
        'LIMIT_EXCEEDED',
        `the bundle would be ${size} bytes long, at most ${OWN_BUNDLE_BYTES_MAX} are published; restore identities that no longer have certificates`,
      );
    }
    const current = signEnvelope({ clusterSet, cluster, bundle }, signers);
    const transitions = before?.transitions ?? [];
    const sameRoots = sameValue(
      before?.current.bundle.x509Authorities,
      current.bundle.x509Authorities,
    );
    const state = {
      current,
      // One more than is published: the newest may be the current version itself.
      transitions: sameRoots ? transitions : [...transitions, current].slice(-PREDECESSORS_MAX - 1),
      revoked,
    };
    await writeStateFile(this.#path, formatOwnBundle(state));
    this.#state = state;
    const { trustDomain, sequence } = bundle;
    log.info({ trustDomain, sequence, roots: bundle.x509Authorities.length }, 'trust bundle made');
    this.bundles.put(trustDomain, bundle);
    return bundle;
  }

  #inForce(): OwnBundleState {
    if (this.#state === undefined) throw new Error('the own bundle is used before it is open');
    return this.#state;
  }

  #parse(content: Buffer): OwnBundleState {
    try {
      return parseOwnBundle(content);
    } catch (cause) {
      throw new MeshError(
        'FILE_CORRUPT',
        `"${this.#path}": ${messageOf(cause)}; restore it from a backup`,
        { cause },
      );
    }
  }
}

/**
 * A change gets a number of its own; what says the same keeps its number. The first one here counts from
 * the clock: should this file have been lost, others have seen no higher number.
 */
function nextVersion(
  before: TrustBundle | undefined,
  wanted: TrustBundle,
  nowMs: number,
): TrustBundle {
  if (before === undefined) {
    return { ...wanted, sequence: Math.max(wanted.sequence, Math.floor(nowMs / 1000)) };
  }
  if (sameValue({ ...wanted, sequence: before.sequence }, before)) return before;
  return { ...wanted, sequence: Math.max(wanted.sequence, before.sequence + 1) };
}

/** With the certificates of today: a renewed membership signs the same version again. */
function isSignedBy(
  signed: SignedBundle,
  bundle: TrustBundle,
  signers: readonly StatementSigner[],
): boolean {
  const chains = signed.signatures.map(({ chain }) => chain);
  return (
    sameValue(signed.bundle, bundle) &&
    sameValue(
      chains,
      signers.map(({ chain }) => chain),
    )
  );
}
