/**
 * An authority's root at rest: key and certificate in one private file, written once and atomically, so
 * a crash while an authority is made leaves none or all of it.
 */

import { join } from 'node:path';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { type AuthoritySubject, type Signer, signerOf } from '../x509/certificate.ts';
import { formatKeyFile, parseKeyFile } from '../x509/pem.ts';
import { makeRoot } from './make-signer.ts';
import { bundleOf } from './root-file.ts';

/** In the authority's directory. */
export const AUTHORITY_FILE = 'authority.pem';

/** Undefined when there is none. Throws FILE_PERMISSIONS, FILE_UNREADABLE, CERTIFICATE_INVALID. */
export async function loadRoot(dir: string): Promise<Signer | undefined> {
  await ensurePrivateDir(dir);
  const path = join(dir, AUTHORITY_FILE);
  const content = await readPrivateFile(path);
  if (content === undefined) return undefined;
  const { key, certificates } = parseKeyFile(path, content);
  try {
    const [certificate] = certificates;
    if (certificate === undefined) throw new MeshError('CERTIFICATE_INVALID', 'no certificate');
    const root = signerOf(certificate, key);
    // Throws for a certificate that is not a root of a trust domain.
    bundleOf([root.certificate]);
    return root;
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', `"${path}": ${messageOf(cause)}`, { cause });
  }
}

export async function createRoot(
  dir: string,
  subject: AuthoritySubject,
  nowMs: number,
): Promise<Signer> {
  await ensurePrivateDir(dir);
  const root = makeRoot(subject, nowMs);
  const content = formatKeyFile(root.key, [root.certificate.der]);
  await writePrivateFile(join(dir, AUTHORITY_FILE), content);
  return root;
}
