/**
 * Join tokens in the store: each admits one cluster, once, until it expires.
 *
 * A token is kept under the hash of its secret, outside the table that members watch, so neither the
 * store nor a list gives one away. It is redeemed by a commit that states the revision it read: of any
 * number of callers at any number of registry processes exactly one succeeds. The winner's key is
 * remembered, so that the same caller may ask again when the answer was lost.
 */

import { createHash, randomBytes } from 'node:crypto';
import type { SocketAddress } from '../../mesh/address.ts';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../../mesh/names.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import { StoredJoinToken } from '../../wire/generated/isthmus/registry/v1/join.ts';
import { formatJoinToken, JOIN_SECRET_BYTES } from '../../wire/join-token.ts';
import { JOIN_TOKENS_KEPT_MS, JOIN_TOKENS_MAX } from '../limits.ts';
import type { AuditAction, AuditJournal } from '../operators/audit.ts';
import type { Commit, RegistryStore, StoreEntry } from '../store/store.ts';

export interface JoinTokensOptions {
  readonly store: RegistryStore;
  readonly journal: AuditJournal;
  readonly clusterSet: TrustDomain;
  readonly rootSha256: Uint8Array;
  /** Put into each token. */
  readonly addresses: readonly SocketAddress[];
  readonly now: () => number;
}

export interface TokenRow {
  /** The hash of the secret, hex; operators use the beginning of it. */
  readonly hash: string;
  readonly cluster: ClusterName;
  readonly by: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly state: TokenState;
}

export type TokenState =
  | { readonly kind: 'unused' }
  | {
      readonly kind: 'redeemed';
      readonly atMs: number;
      readonly keySha256: Buffer;
      readonly remoteAddress: string;
    }
  | { readonly kind: 'expired'; readonly atMs: number }
  | { readonly kind: 'revoked'; readonly atMs: number };

export interface Redeemer {
  readonly secret: Uint8Array;
  readonly keySha256: Buffer;
  readonly remoteAddress: string;
  /** Sees whom the token admits and may throw to refuse the caller, which leaves the token as it was. */
  readonly accept: (cluster: ClusterName) => void;
}

/** `/isthmus/v1/` is what members watch. */
const PREFIX = '/isthmus/join-tokens/v1/';
const NEW_TOKEN = 'make a new one with "isthmus token create"';

export class JoinTokens {
  readonly #options: JoinTokensOptions;

  constructor(options: JoinTokensOptions) {
    this.#options = options;
  }

  /** Throws LIMIT_EXCEEDED, STORE_UNAVAILABLE. */
  async create(
    cluster: ClusterName,
    ttlMs: number,
    by: string,
  ): Promise<{ readonly token: string; readonly row: TokenRow }> {
    const { clusterSet, rootSha256, addresses, now } = this.#options;
    const known = await this.list();
    const outdated = known.filter(({ expiresMs }) => now() - expiresMs > JOIN_TOKENS_KEPT_MS);
    if (known.length - outdated.length >= JOIN_TOKENS_MAX) {
      throw new MeshError(
        'LIMIT_EXCEEDED',
        `${known.length} join tokens exist; revoke some or wait`,
      );
    }
    const secret = randomBytes(JOIN_SECRET_BYTES);
    const stored: StoredJoinToken = {
      cluster,
      by,
      createdMs: BigInt(now()),
      expiresMs: BigInt(now() + ttlMs),
    };
    const key = PREFIX + hashOf(secret);
    const row = rowOf(hashOf(secret), stored, now());
    const commit = {
      puts: [{ key, value: StoredJoinToken.encode(stored).finish() }],
      deletes: outdated.slice(0, OUTDATED_DELETED_MAX).map(({ hash }) => PREFIX + hash),
      expect: [{ key, revision: 0n }],
    };
    await this.#commit(commit, 'token-created', row, `operator ${by}`);
    const token = formatJoinToken({ clusterSet, cluster, addresses, rootSha256, secret });
    return { token, row };
  }

  /** Newest first. */
  async list(): Promise<TokenRow[]> {
    const { store, now } = this.#options;
    const { entries } = await store.snapshot(PREFIX);
    return entries
      .map(entry => rowOf(entry.key.slice(PREFIX.length), read(entry), now()))
      .sort((a, b) => b.createdMs - a.createdMs);
  }

  /** `id` is the beginning of one token's hash. Throws TOKEN_UNKNOWN, TOKEN_USED. */
  async revoke(id: string, by: string): Promise<TokenRow> {
    const found = (await this.list()).filter(({ hash }) => id !== '' && hash.startsWith(id));
    const [row] = found;
    if (row === undefined || found.length > 1) {
      throw new MeshError(
        'TOKEN_UNKNOWN',
        `"${id}" names ${found.length} join tokens; "isthmus token list" shows them`,
      );
    }
    return this.#change(row.hash, 'token-revoked', `operator ${by}`, (stored, state) => {
      if (state.kind === 'redeemed') throw used(state.atMs);
      return { ...stored, revokedMs: stored.revokedMs ?? BigInt(this.#options.now()) };
    });
  }

  /** Uses the token up. Throws TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED, TOKEN_REVOKED, STORE_UNAVAILABLE. */
  async redeem({ secret, keySha256, remoteAddress, accept }: Redeemer): Promise<TokenRow> {
    return this.#change(hashOf(secret), 'token-redeemed', remoteAddress, (stored, state) => {
      switch (state.kind) {
        case 'revoked':
          throw new MeshError('TOKEN_REVOKED', `join token was revoked; ${NEW_TOKEN}`);
        case 'expired': {
          const when = new Date(state.atMs).toISOString();
          throw new MeshError('TOKEN_EXPIRED', `join token expired at ${when}; ${NEW_TOKEN}`);
        }
        case 'redeemed':
          if (state.keySha256.equals(keySha256) && this.#options.now() < Number(stored.expiresMs)) {
            return stored;
          }
          throw used(state.atMs);
        case 'unused':
          accept(parseClusterName(stored.cluster));
          return {
            ...stored,
            redemption: { atMs: BigInt(this.#options.now()), keySha256, remoteAddress },
          };
      }
    });
  }

  /** Decides on what the store has now; when someone else was faster, decides again. */
  async #change(
    hash: string,
    action: AuditAction,
    who: string,
    decide: (stored: StoredJoinToken, state: TokenState) => StoredJoinToken,
  ): Promise<TokenRow> {
    const { store, now } = this.#options;
    const key = PREFIX + hash;
    for (;;) {
      const entry = (await store.snapshot(key)).entries.find(each => each.key === key);
      if (entry === undefined) {
        throw new MeshError(
          'TOKEN_UNKNOWN',
          `join token is not one of this ClusterSet's; ${NEW_TOKEN}`,
        );
      }
      const stored = read(entry);
      const decided = decide(stored, rowOf(hash, stored, now()).state);
      const row = rowOf(hash, decided, now());
      if (decided === stored) return row;
      try {
        const commit = {
          puts: [{ key, value: StoredJoinToken.encode(decided).finish() }],
          deletes: [],
          expect: [{ key, revision: entry.revision }],
        };
        await this.#commit(commit, action, row, who);
        return row;
      } catch (error) {
        // A token only ever changes from unused to redeemed or revoked: the next look settles it.
        if (!isMeshError(error, 'REVISION_CONFLICT')) throw error;
      }
    }
  }

  /** With its entry in the journal. */
  async #commit(commit: Commit, action: AuditAction, row: TokenRow, who: string): Promise<void> {
    const { store, journal } = this.#options;
    const before = action === 'token-created' ? '' : 'unused';
    const change = { action, subject: row.cluster, before, after: `token ${tokenId(row)}` };
    await store.commit(journal.into(commit, who, [change]));
    journal.written(who, [change]);
  }
}

/** What operators call it. */
export function tokenId({ hash }: Pick<TokenRow, 'hash'>): string {
  return hash.slice(0, TOKEN_ID_CHARS);
}
const TOKEN_ID_CHARS = 12;

/** etcd refuses transactions of more than 128. */
const OUTDATED_DELETED_MAX = 100;

function hashOf(secret: Uint8Array): string {
  return createHash('sha256').update(secret).digest('hex');
}

function read({ key, value }: StoreEntry): StoredJoinToken {
  try {
    return StoredJoinToken.decode(value);
  } catch (cause) {
    throw new MeshError('FILE_CORRUPT', `"${key}" in the store is not a join token; delete it`, {
      cause,
    });
  }
}

function rowOf(hash: string, stored: StoredJoinToken, nowMs: number): TokenRow {
  return {
    hash,
    cluster: parseClusterName(stored.cluster),
    by: stored.by,
    createdMs: Number(stored.createdMs),
    expiresMs: Number(stored.expiresMs),
    state: stateOf(stored, nowMs),
  };
}

/** A redeemed token answers its redeemer until it expires, and nobody after that. */
function stateOf({ revokedMs, redemption, expiresMs }: StoredJoinToken, nowMs: number): TokenState {
  if (redemption !== undefined) {
    const { atMs, keySha256, remoteAddress } = redemption;
    return { kind: 'redeemed', atMs: Number(atMs), keySha256, remoteAddress };
  }
  if (revokedMs !== undefined) return { kind: 'revoked', atMs: Number(revokedMs) };
  if (nowMs >= Number(expiresMs)) return { kind: 'expired', atMs: Number(expiresMs) };
  return { kind: 'unused' };
}

function used(atMs: number): MeshError {
  const when = new Date(atMs).toISOString();
  return new MeshError('TOKEN_USED', `join token was used at ${when}; ${NEW_TOKEN}`);
}
