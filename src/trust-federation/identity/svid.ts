/**
 * An X.509-SVID with its key, and where it rests on disk.
 *
 * Key and chain share one file, written atomically: two files could be torn apart by a crash, and a key
 * beside another key's certificate must never load. Keys are made where they are used and never leave.
 */

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { leafIdentity, leafProblem } from '../peers/chain-rules.ts';
import { parseCertificate } from '../x509/parsed-certificate.ts';
import { formatKeyFile, parseKeyFile } from '../x509/pem.ts';

export interface Svid {
  readonly id: SpiffeId;
  readonly trustDomain: TrustDomain;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[];
  readonly key: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Asked at each handshake, so rotation needs no reload. */
export interface SvidSource {
  current(): Svid;
  /** Called after each change; returns the way to stop. */
  observe(observer: () => void): () => void;
}

/** In the directory given to `saveSvid`. */
export const IDENTITY_FILE = 'identity.pem';

/** ECDSA P-256, the one kind of key that CSRs and leaves have. */
export function generateSvidKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** Throws CERTIFICATE_INVALID: not an X509-SVID, or not this key's. An expired one is still an SVID. */
export function parseSvid(chain: readonly Uint8Array[], key: KeyObject): Svid {
  const [leaf] = chain.map(parseCertificate);
  if (leaf === undefined) throw new MeshError('CERTIFICATE_INVALID', 'certificate chain is empty');
  const identity = leafIdentity(leaf);
  if (identity.kind === 'refused') throw new MeshError('CERTIFICATE_INVALID', identity.message);
  const problem = leafProblem(leaf);
  if (problem !== undefined) throw new MeshError('CERTIFICATE_INVALID', problem.message);
  if (!leaf.x509.checkPrivateKey(key)) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `certificate of "${identity.id}" is for another key`,
    );
  }
  return {
    id: identity.id,
    trustDomain: identity.trustDomain,
    chain: chain.map(der => Buffer.from(der)),
    key,
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
  };
}

export async function saveSvid(dir: string, svid: Svid): Promise<void> {
  await ensurePrivateDir(dir);
  await writePrivateFile(join(dir, IDENTITY_FILE), formatKeyFile(svid.key, svid.chain));
}

/** Undefined when none was saved. Throws FILE_PERMISSIONS, FILE_UNREADABLE, CERTIFICATE_INVALID. */
export async function loadSvid(dir: string): Promise<Svid | undefined> {
  await ensurePrivateDir(dir);
  const path = join(dir, IDENTITY_FILE);
  const content = await readPrivateFile(path);
  if (content === undefined) return undefined;
  const { key, certificates } = parseKeyFile(path, content);
  try {
    return parseSvid(certificates, key);
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', `"${path}": ${messageOf(cause)}`, { cause });
  }
}
