/**
 * The key of a certificate that is being asked for: on disk before the asking, so that a lost answer or a
 * crash is repeated with the same key, and a one-time token is spent on nobody else.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { keyPem } from '../x509/pem.ts';
import { generateSvidKey } from './svid.ts';

const PENDING_KEY_FILE = 'pending-key.pem';

/** The one from an earlier try, or a new one. Throws FILE_PERMISSIONS, FILE_CORRUPT. */
export async function pendingKey(dir: string): Promise<KeyObject> {
  await ensurePrivateDir(dir);
  const path = join(dir, PENDING_KEY_FILE);
  const content = await readPrivateFile(path);
  if (content === undefined) {
    const key = generateSvidKey();
    await writePrivateFile(path, keyPem(key));
    return key;
  }
  try {
    return createPrivateKey(content);
  } catch (cause) {
    throw new MeshError('FILE_CORRUPT', `"${path}" is not a private key; remove it`, { cause });
  }
}

/** Once its certificate is saved. */
export async function forgetPendingKey(dir: string): Promise<void> {
  await rm(join(dir, PENDING_KEY_FILE), { force: true });
}
