/**
 * Keys and certificates as other PKIs hand them over: PEM, encrypted PEM, PKCS#12; EC and RSA.
 *
 * The only place where node-forge's PKCS#12 reader runs, on a file that the operator chose. Everything
 * leaves here as DER that OpenSSL reads again; nothing forge thinks of a certificate is used.
 */

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import forge from 'node-forge';
import { MeshError, messageOf } from '../mesh/errors.ts';

export interface PkiFile {
  /** DER, in file order. */
  readonly certificates: readonly Buffer[];
  readonly keys: readonly KeyObject[];
}

/** Above any honest key file. */
const PKI_FILE_BYTES_MAX = 1024 * 1024;

/** Throws FILE_UNREADABLE, CERTIFICATE_INVALID naming the file. */
export function readPkiFile(path: string, password: string | undefined): PkiFile {
  const content = read(path);
  try {
    return content.includes('-----BEGIN ')
      ? readPem(content.toString('latin1'), password)
      : readPkcs12(content, password);
  } catch (cause) {
    const hint = password === undefined ? '; does it need --password-file?' : '';
    const why = messageOf(cause).replace(/\.$/, '');
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${path}" cannot be read as PEM or PKCS#12: ${why}${hint}`,
      { cause },
    );
  }
}

/** First line only: editors end files with a newline that is not part of the password. */
export function readPassword(path: string): string {
  return read(path).toString('utf8').split(/\r?\n/, 1)[0] ?? '';
}

function read(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size > PKI_FILE_BYTES_MAX) throw new Error(`is ${size} bytes long`);
    return readFileSync(path);
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${path}": ${messageOf(cause)}`, { cause });
  }
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** PKCS#8, plain or encrypted, and the traditional forms (SEC 1, PKCS#1) with or without DEK-Info. */
function readPem(text: string, password: string | undefined): PkiFile {
  const certificates: Buffer[] = [];
  const keys: KeyObject[] = [];
  for (const [block, label = ''] of text.matchAll(BLOCK)) {
    if (label === 'CERTIFICATE') certificates.push(certificateIn(block));
    if (label.endsWith('PRIVATE KEY')) {
      keys.push(
        createPrivateKey({
          key: block,
          ...(password === undefined ? {} : { passphrase: password }),
        }),
      );
    }
  }
  if (certificates.length + keys.length === 0) throw new Error('holds no certificate and no key');
  return { certificates, keys };
}

function certificateIn(block: string): Buffer {
  const body = block.replace(/-----(?:BEGIN|END) CERTIFICATE-----/g, '');
  return Buffer.from(body.replace(/\s/g, ''), 'base64');
}

/** Of an EC key or certificate forge knows the ASN.1 alone, which is enough. */
function readPkcs12(content: Buffer, password = ''): PkiFile {
  const asn1 = forge.asn1.fromDer(content.toString('latin1'));
  const file = forge.pkcs12.pkcs12FromAsn1(asn1, password);
  const bags = file.safeContents.flatMap(({ safeBags }) => safeBags);
  return {
    certificates: bags
      .filter(({ type }) => type === forge.pki.oids['certBag'])
      .map(({ cert, asn1: raw }) => derOf(cert ? forge.pki.certificateToAsn1(cert) : raw)),
    keys: bags
      .filter(({ type }) => KEY_BAGS.has(type))
      .map(({ key, asn1: raw }) => {
        const info = key ? forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(key)) : raw;
        return createPrivateKey({ key: derOf(info), format: 'der', type: 'pkcs8' });
      }),
  };
}

const KEY_BAGS: ReadonlySet<string | undefined> = new Set([
  forge.pki.oids['keyBag'],
  forge.pki.oids['pkcs8ShroudedKeyBag'],
]);

function derOf(node: forge.asn1.Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1');
}
