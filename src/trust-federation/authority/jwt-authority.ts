/**
 * The keys that sign this cluster's JWT-SVIDs, beside its root.
 *
 * A key is published in the bundle a day before it signs, so that everyone knows it by then, and stays
 * there until the last token it signed has expired: prepared, active, retired. Which of these a key is
 * follows from the dates it was given when it was made, which are on disk before anyone sees the key.
 */

import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId } from '../../mesh/spiffe-id.ts';
import type { JwtAuthority as PublishedKey } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { sleep } from '../../runtime/supervise.ts';
import { JWT_SVID_TTL_MS_DEFAULT, JWT_SVID_TTL_MS_MAX, signJwtSvid } from '../identity/jwt-svid.ts';
import { generateSvidKey } from '../identity/svid.ts';
import { keyPem } from '../x509/pem.ts';

export interface JwtAuthorityOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface IssuedJwtSvid {
  readonly token: string;
  readonly expiresMs: number;
}

const DAY_MS = 86_400_000;
/** Known to everyone before it signs: far longer than a bundle takes anywhere. */
const PREPARED_MS = DAY_MS;
const ACTIVE_MS = 7 * DAY_MS;
const CHECK_MS = 60_000;
const FILE = 'jwt-keys.json';

interface HeldKey {
  readonly keyId: string;
  readonly key: KeyObject;
  readonly activeFromMs: number;
  readonly retiredFromMs: number;
}

/** Throws FILE_PERMISSIONS, FILE_CORRUPT. */
export async function openJwtAuthority(options: JwtAuthorityOptions): Promise<JwtAuthority> {
  const path = join(options.dir, FILE);
  const content = await readPrivateFile(path);
  const authority = new JwtAuthority(options, content === undefined ? [] : parse(path, content));
  await authority.rotate();
  return authority;
}

export class JwtAuthority {
  readonly name = 'jwt-authority';
  readonly #options: JwtAuthorityOptions;
  readonly #observers = new Set<() => void>();
  #keys: readonly HeldKey[];

  /** Use `openJwtAuthority`. */
  constructor(options: JwtAuthorityOptions, keys: readonly HeldKey[]) {
    this.#options = options;
    this.#keys = keys;
  }

  /** For the bundle; oldest first. */
  published(): readonly PublishedKey[] {
    return this.#keys.map(({ keyId, key }) => ({
      keyId,
      spki: createPublicKey(key).export({ type: 'spki', format: 'der' }),
    }));
  }

  /** Called after each change of what is published; returns the way to stop. */
  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  issue(id: SpiffeId, audience: readonly string[]): IssuedJwtSvid {
    const nowMs = this.#options.now();
    // A clock that went back finds no key active: the oldest is the one that others know.
    const signer = this.#keys.findLast(key => key.activeFromMs <= nowMs) ?? this.#keys[0];
    if (signer === undefined) throw new Error('the JWT authority is used before it is open');
    const ttlMs = JWT_SVID_TTL_MS_DEFAULT;
    const token = signJwtSvid({ id, audience, ttlMs }, signer, nowMs);
    return { token, expiresMs: Math.floor((nowMs + ttlMs) / 1000) * 1000 };
  }

  /** Makes the next key in time and forgets the ones whose tokens have all expired. */
  async rotate(): Promise<void> {
    const { dir, log, now } = this.#options;
    const nowMs = now();
    const kept = this.#keys.filter(key => nowMs < key.retiredFromMs + JWT_SVID_TTL_MS_MAX);
    const newest = kept.at(-1);
    const isDue = newest === undefined || nowMs >= newest.retiredFromMs - PREPARED_MS;
    const made = isDue ? [newKey(newest === undefined ? nowMs : nowMs + PREPARED_MS)] : [];
    if (made.length === 0 && kept.length === this.#keys.length) return;
    const keys = [...kept, ...made];
    await writePrivateFile(join(dir, FILE), format(keys));
    this.#keys = keys;
    log.info({ keys: keys.map(({ keyId }) => keyId) }, 'jwt keys rotated');
    for (const observer of [...this.#observers]) observer();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    while (!signal.aborted) {
      await sleep(CHECK_MS, signal);
      // A full disk must not end the agent; the key in hand signs on.
      await this.rotate().catch((error: unknown) => log.error({ error }, 'jwt keys not rotated'));
    }
  }
}

function newKey(activeFromMs: number): HeldKey {
  return {
    keyId: randomBytes(12).toString('base64url'),
    key: generateSvidKey(),
    activeFromMs,
    retiredFromMs: activeFromMs + ACTIVE_MS,
  };
}

function format(keys: readonly HeldKey[]): string {
  return JSON.stringify(keys.map(({ key, ...rest }) => ({ ...rest, key: keyPem(key) })));
}

function parse(path: string, content: Buffer): readonly HeldKey[] {
  try {
    const keys = JSON.parse(content.toString('utf8')) as readonly Record<string, unknown>[];
    return keys.map(({ keyId, key, activeFromMs, retiredFromMs }) => {
      if (typeof keyId !== 'string' || typeof key !== 'string') throw new Error('no key');
      if (typeof activeFromMs !== 'number' || typeof retiredFromMs !== 'number') {
        throw new Error('no dates');
      }
      return { keyId, key: createPrivateKey(key), activeFromMs, retiredFromMs };
    });
  } catch (cause) {
    throw new MeshError(
      'FILE_CORRUPT',
      `"${path}" does not hold JWT keys (${messageOf(cause)}); remove it to make new ones`,
      { cause },
    );
  }
}
