/**
 * One-time join tokens: each vouches for one identity, once, until it expires.
 *
 * A token is a file named by the hash of its secret, so reading the directory gives none away. It is
 * redeemed by linking a file that names the redeemer's key next to it, which exactly one of any number of
 * callers can do. The same key may redeem again while the token lives: an answer can get lost.
 */

import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { link, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import { requireSpiffeId, type SpiffeId } from '../../mesh/spiffe-id.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { JOIN_TOKEN_CHARS_MAX, JOIN_TOKEN_KEPT_MS } from '../limits.ts';
import type { Attestor, Credential } from './attestor.ts';

const SECRET_BYTES = 32;
const FOLDER = 'join-tokens';
const NEW_TOKEN = 'make a new one with "isthmus enrol"';

export interface JoinTokenOptions {
  readonly agentStateDir: string;
  readonly id: SpiffeId;
  readonly ttlMs: number;
  readonly now: () => number;
}

interface TokenFile {
  readonly id: SpiffeId;
  readonly expiresMs: number;
  /** Of a redeemed one. */
  readonly keySha256?: string;
}

/** Returns the secret, to be carried to the proxy's state directory as `join-token`. */
export async function createJoinToken(options: JoinTokenOptions): Promise<string> {
  const { agentStateDir, id, ttlMs, now } = options;
  const dir = join(agentStateDir, FOLDER);
  await ensurePrivateDir(dir);
  await prune(dir, now());
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  await write(tokenPath(agentStateDir, secret), { id, expiresMs: now() + ttlMs });
  return secret;
}

export class JoinTokenAttestor implements Attestor {
  readonly #agentStateDir: string;
  readonly #now: () => number;

  constructor(agentStateDir: string, now: () => number) {
    this.#agentStateDir = agentStateDir;
    this.#now = now;
  }

  /** Uses the token up. Throws TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED. */
  async attest(
    { token, keySha256 }: Credential,
    accept: (id: SpiffeId) => void,
  ): Promise<SpiffeId> {
    if (token === '' || token.length > JOIN_TOKEN_CHARS_MAX) throw unknown();
    const path = tokenPath(this.#agentStateDir, token);
    const file = (await read(usedPath(path))) ?? (await read(path)) ?? (await read(usedPath(path)));
    if (file === undefined) throw unknown();
    if (file.keySha256 !== undefined && file.keySha256 !== keySha256) throw used();
    if (this.#now() >= file.expiresMs) {
      const when = new Date(file.expiresMs).toISOString();
      throw new MeshError('TOKEN_EXPIRED', `join token expired at ${when}; ${NEW_TOKEN}`);
    }
    accept(file.id);
    if (file.keySha256 === undefined) await claim(path, { ...file, keySha256 });
    return file.id;
  }
}

/** Linking is atomic and refuses a name that is taken; the file is whole before it has that name. */
async function claim(path: string, file: TokenFile): Promise<void> {
  const mine = `${path}.${randomUUID()}.claim`;
  await write(mine, file);
  try {
    await link(mine, usedPath(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const winner = await read(usedPath(path));
    if (winner?.keySha256 !== file.keySha256) throw used();
  } finally {
    await rm(mine, { force: true });
  }
  await rm(path, { force: true });
}

/** Files of tokens that nobody will ask about any more, used or not, and of claims a crash left behind. */
async function prune(dir: string, nowMs: number): Promise<void> {
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    const file = await read(path).catch(() => undefined);
    if (file !== undefined && nowMs - file.expiresMs > JOIN_TOKEN_KEPT_MS) {
      await rm(path, { force: true });
    }
  }
}

function tokenPath(agentStateDir: string, secret: string): string {
  return join(agentStateDir, FOLDER, createHash('sha256').update(secret).digest('hex'));
}

function usedPath(path: string): string {
  return `${path}.used`;
}

async function write(path: string, file: TokenFile): Promise<void> {
  await writePrivateFile(path, JSON.stringify(file));
}

async function read(path: string): Promise<TokenFile | undefined> {
  const content = await readPrivateFile(path);
  if (content === undefined) return undefined;
  try {
    const file = JSON.parse(content.toString('utf8')) as Record<string, unknown>;
    const { id, expiresMs, keySha256 } = file;
    if (typeof id === 'string' && typeof expiresMs === 'number') {
      const token = { id: requireSpiffeId(id), expiresMs };
      return typeof keySha256 === 'string' ? { ...token, keySha256 } : token;
    }
  } catch {
    // Reported below, as for a file of another shape.
  }
  throw new MeshError('FILE_CORRUPT', `"${path}" is not a join token; remove it`);
}

function used(): MeshError {
  return new MeshError('TOKEN_USED', `join token was used before; ${NEW_TOKEN}`);
}

function unknown(): MeshError {
  return new MeshError('TOKEN_UNKNOWN', `join token is not one of this cluster's; ${NEW_TOKEN}`);
}
