/**
 * A member's or the registry's credentials, read again when whoever renews them has replaced the files.
 *
 * Certificate and roots are asked for at each handshake, so a renewal needs no restart and cuts no
 * connection. Files that cannot be used are reported and the last good ones stay in use: their expiry is
 * the only deadline.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Table } from '../../mesh/collection.ts';
import { isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep } from '../../runtime/supervise.ts';
import {
  CLUSTERSET_ROOT_FILE,
  type ClusterSetCredentials,
  loadMemberCredentials,
} from '../authority/clusterset-authority.ts';
import { CREDENTIALS_POLL_MS } from '../limits.ts';
import { IDENTITY_FILE, type Svid, type SvidSource } from './svid.ts';

export interface CredentialsFolderOptions {
  readonly dir: string;
  /** Whose they must be. */
  readonly id: SpiffeId;
  readonly log: Logger;
  readonly pollMs?: number;
}

export class CredentialsFolder implements SvidSource {
  readonly name = 'credentials';
  readonly roots = new Table<TrustDomain, TrustBundle>('clusterset-bundle');
  readonly #options: CredentialsFolderOptions;
  readonly #observers = new Set<() => void>();
  #svid: Svid;
  #stamp: string;
  #problem: string | undefined;

  constructor(options: CredentialsFolderOptions, first: ClusterSetCredentials, stamp: string) {
    this.#options = options;
    this.#svid = first.svid;
    this.#stamp = stamp;
    this.roots.put(first.roots.trustDomain, first.roots);
  }

  current(): Svid {
    return this.#svid;
  }

  /** The ClusterSet's roots. */
  bundle(): TrustBundle {
    const bundle = this.roots.get(this.#svid.trustDomain);
    if (bundle === undefined) throw new Error('credentials without roots');
    return bundle;
  }

  /** What is wrong with the files as they are now. */
  get problem(): string | undefined {
    return this.#problem;
  }

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const stamp = await stampOf(this.#options.dir);
      if (stamp !== this.#stamp) await this.#reload(stamp);
      await sleep(this.#options.pollMs ?? CREDENTIALS_POLL_MS, signal);
    }
  }

  /** Two files are replaced one after the other, so what does not fit together is tried again. */
  async #reload(stamp: string): Promise<void> {
    const { log } = this.#options;
    try {
      const { svid, roots } = await load(this.#options);
      this.#stamp = stamp;
      this.#problem = undefined;
      this.#svid = svid;
      this.roots.put(roots.trustDomain, roots);
      for (const observer of [...this.#observers]) observer();
      log.info(
        { id: svid.id, expires: new Date(svid.notAfterMs).toISOString() },
        'credentials read',
      );
    } catch (error) {
      if (!isMeshError(error)) throw error;
      const problem = messageOf(error);
      if (problem !== this.#problem)
        log.error({ error }, 'credentials refused, keeping the last good');
      this.#problem = problem;
    }
  }
}

/** Throws FILE_UNREADABLE, FILE_PERMISSIONS, CERTIFICATE_INVALID. */
export async function openCredentials(
  options: CredentialsFolderOptions,
): Promise<CredentialsFolder> {
  const stamp = await stampOf(options.dir);
  return new CredentialsFolder(options, await load(options), stamp);
}

async function load({ dir, id }: CredentialsFolderOptions): Promise<ClusterSetCredentials> {
  const credentials = await loadMemberCredentials(dir);
  if (credentials.svid.id === id) return credentials;
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `"${dir}" holds the identity "${credentials.svid.id}", where "${id}" is needed; copy its credentials of this ClusterSet there`,
  );
}

async function stampOf(dir: string): Promise<string> {
  const stamps = [IDENTITY_FILE, CLUSTERSET_ROOT_FILE].map(async file => {
    try {
      const { mtimeMs, size, ino } = await stat(join(dir, file));
      return `${ino}/${size}/${mtimeMs}`;
    } catch {
      return 'unreadable';
    }
  });
  return (await Promise.all(stamps)).join(' ');
}
