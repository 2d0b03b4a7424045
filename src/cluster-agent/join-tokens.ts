/**
 * One-time join tokens: each vouches for one identity, once, until it expires.
 *
 * A token is a file named by the hash of its secret, so reading the directory gives none away. It is
 * redeemed by renaming that file, which exactly one of any number of callers can do.
 */

import { createHash, randomBytes } from 'node:crypto';
import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../mesh/errors.ts';
import { requireSpiffeId, type SpiffeId } from '../mesh/spiffe-id.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../runtime/state-file.ts';
import { JOIN_TOKEN_CHARS_MAX } from './limits.ts';

const SECRET_BYTES = 32;
const FOLDER = 'join-tokens';
const NEW_TOKEN = 'make a new one with "isthmus token create"';

export interface JoinTokenOptions {
  readonly agentStateDir: string;
  readonly id: SpiffeId;
  readonly ttlMs: number;
  readonly now: () => number;
}

interface TokenFile {
  readonly id: SpiffeId;
  readonly expiresMs: number;
}

/** Returns the secret, to be carried to the proxy's state directory as `join-token`. */
export async function createJoinToken(options: JoinTokenOptions): Promise<string> {
  const { agentStateDir, id, ttlMs, now } = options;
  const dir = join(agentStateDir, FOLDER);
  await ensurePrivateDir(dir);
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const content: TokenFile = { id, expiresMs: now() + ttlMs };
  await writePrivateFile(tokenPath(agentStateDir, secret), JSON.stringify(content));
  return secret;
}

/**
 * Uses the token up. `accept` sees whom it vouches for and may throw to refuse the caller, which leaves
 * the token as it was. Throws TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED.
 */
export async function redeemJoinToken(
  agentStateDir: string,
  secret: string,
  nowMs: number,
  accept: (id: SpiffeId) => void,
): Promise<SpiffeId> {
  if (secret === '' || secret.length > JOIN_TOKEN_CHARS_MAX) throw unknown();
  const path = tokenPath(agentStateDir, secret);
  const content = await readPrivateFile(path);
  if (content === undefined) throw (await exists(usedPath(path))) ? used() : unknown();
  const { id, expiresMs } = parseTokenFile(path, content);
  if (nowMs >= expiresMs) {
    const when = new Date(expiresMs).toISOString();
    throw new MeshError('TOKEN_EXPIRED', `join token expired at ${when}; ${NEW_TOKEN}`);
  }
  accept(id);
  try {
    await rename(path, usedPath(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw used();
    throw error;
  }
  return id;
}

function tokenPath(agentStateDir: string, secret: string): string {
  return join(agentStateDir, FOLDER, createHash('sha256').update(secret).digest('hex'));
}

function usedPath(path: string): string {
  return `${path}.used`;
}

function parseTokenFile(path: string, content: Buffer): TokenFile {
  try {
    const { id, expiresMs } = JSON.parse(content.toString('utf8')) as Record<string, unknown>;
    if (typeof id === 'string' && typeof expiresMs === 'number') {
      return { id: requireSpiffeId(id), expiresMs };
    }
  } catch {
    // Reported below, as for a file of another shape.
  }
  throw new MeshError('FILE_CORRUPT', `"${path}" is not a join token; remove it`);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function used(): MeshError {
  return new MeshError('TOKEN_USED', `join token was used before; ${NEW_TOKEN}`);
}

function unknown(): MeshError {
  return new MeshError('TOKEN_UNKNOWN', `join token is not one of this cluster's; ${NEW_TOKEN}`);
}
