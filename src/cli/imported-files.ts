/** Which certificate and which key an operator means by the files given to `isthmus trust import`. */

import { X509Certificate } from 'node:crypto';
import { MeshError } from '../mesh/errors.ts';
import type { RootMaterial } from '../trust-federation/authority/imported-root.ts';
import { type PkiFile, readPassword, readPkiFile } from './pki-files.ts';

export interface ImportFiles {
  readonly root?: string;
  readonly intermediate?: string;
  readonly key?: string;
  readonly passwordFile?: string;
}

/** Throws CONFIG_INVALID, FILE_UNREADABLE, CERTIFICATE_INVALID. */
export function rootMaterialIn(files: ImportFiles): RootMaterial {
  const { passwordFile } = files;
  const password = passwordFile === undefined ? undefined : readPassword(passwordFile);
  const open = (path: string | undefined): PkiFile =>
    path === undefined ? { certificates: [], keys: [] } : readPkiFile(path, password);
  const rootFile = open(files.root);
  const intermediateFile = open(files.intermediate);
  const all = [rootFile, intermediateFile, open(files.key)];
  const certificates = all.flatMap(file => file.certificates);
  if (files.root === undefined && files.intermediate === undefined) {
    throw new MeshError('CONFIG_INVALID', 'name the file with --root or --intermediate');
  }
  // A PKCS#12 file may bring the whole chain.
  const root = onlyOne(certificates.filter(isSelfSigned), 'root (a self-signed certificate)');
  const keys = all.flatMap(file => file.keys);
  const [key] = keys;
  if (key === undefined || keys.length > 1) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `the files hold ${keys.length} private keys, not one; name the one that signs with --key`,
    );
  }
  if (files.intermediate === undefined) return { root, key };
  const others = intermediateFile.certificates.filter(der => !isSelfSigned(der));
  return { root, intermediate: onlyOne(others, 'intermediate'), key };
}

function onlyOne(certificates: readonly Buffer[], what: string): Buffer {
  const [first, ...others] = certificates;
  if (first !== undefined && others.every(other => other.equals(first))) return first;
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `the files hold ${certificates.length} of what can be the ${what}, not one`,
  );
}

function isSelfSigned(der: Buffer): boolean {
  try {
    const certificate = new X509Certificate(der);
    return certificate.checkIssued(certificate);
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', 'a certificate in the files cannot be read', {
      cause,
    });
  }
}
