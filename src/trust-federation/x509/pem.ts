/**
 * The private files of trust-federation: a PKCS#8 key followed by its certificates, or certificates
 * alone. PEM, so that `openssl` can read what an operator finds on disk.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';

export interface KeyFile {
  readonly key: KeyObject;
  /** DER, in file order. */
  readonly certificates: readonly Buffer[];
}

export function certificatesPem(certificates: readonly Uint8Array[]): string {
  return certificates.map(der => pem('CERTIFICATE', der)).join('');
}

export function keyPem(key: KeyObject): string {
  return pem('PRIVATE KEY', key.export({ type: 'pkcs8', format: 'der' }));
}

export function formatKeyFile(key: KeyObject, certificates: readonly Uint8Array[]): string {
  return keyPem(key) + certificatesPem(certificates);
}

/** Throws CERTIFICATE_INVALID naming the path. */
export function parseKeyFile(path: string, content: Buffer): KeyFile {
  const [key, ...others] = blocksOf(content, 'PRIVATE KEY');
  if (key === undefined || others.length > 0) {
    throw unusable(path, 'does not hold exactly one private key');
  }
  const certificates = parseCertificatesFile(path, content);
  try {
    return {
      key: createPrivateKey({ key, format: 'der', type: 'pkcs8' }),
      certificates,
    };
  } catch (cause) {
    throw unusable(path, 'has a private key that cannot be read', cause);
  }
}

/** Throws CERTIFICATE_INVALID naming the path. */
export function parseCertificatesFile(path: string, content: Buffer): readonly Buffer[] {
  const certificates = blocksOf(content, 'CERTIFICATE');
  if (certificates.length === 0) throw unusable(path, 'holds no certificate');
  return certificates;
}

function blocksOf(content: Buffer, label: string): readonly Buffer[] {
  const block = new RegExp(
    `-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`,
    'g',
  );
  return [...content.toString('latin1').matchAll(block)].map(match =>
    Buffer.from(match[1] ?? '', 'base64'),
  );
}

function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function unusable(path: string, what: string, cause?: unknown): MeshError {
  return new MeshError(
    'CERTIFICATE_INVALID',
    `"${path}" ${what}; restore it from a backup, or remove it and enrol again`,
    { cause },
  );
}
