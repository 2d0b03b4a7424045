/**
 * One X.509 certificate as facts: what its extensions say, read from the DER.
 *
 * Node's text forms are not parsed (a comma or a NUL inside a name has fooled readers of
 * `subjectaltname` before, CVE-2021-44532). Facts only: whether they are acceptable is verify.ts's
 * business.
 */

import { type KeyObject, X509Certificate } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import { CERTIFICATE_BYTES_MAX } from '../limits.ts';
import {
  type Asn1,
  bitsOf,
  booleanOf,
  bytesOf,
  DerError,
  decode,
  isTagged,
  itemsOf,
  itemsOfSequence,
  octetsOf,
  oidOf,
  smallIntegerOf,
} from './der.ts';
import { GENERAL_NAME_URI, OID } from './oids.ts';

export interface ParsedCertificate {
  readonly der: Buffer;
  readonly x509: X509Certificate;
  readonly publicKey: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly signatureAlgorithm: string;
  /** The Name as written, to be repeated in what this certificate issues. */
  readonly subject: Asn1;
  readonly subjectKeyId: Buffer | undefined;
  /** URI SANs in order; every byte as one character. */
  readonly uris: readonly string[];
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Critical extensions this reader does not understand (RFC 5280 §4.2: refuse). */
  readonly unknownCritical: readonly string[];
}

export interface KeyUsage {
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
  readonly crlSign: boolean;
}

export interface NameConstraints {
  readonly permittedUris: readonly string[];
  readonly excludedUris: readonly string[];
  /** Whether subtrees of other name forms are present, which are not evaluated here. */
  readonly otherForms: boolean;
}

/** Throws CERTIFICATE_INVALID saying what is wrong with the bytes. */
export function parseCertificate(bytes: Uint8Array): ParsedCertificate {
  if (bytes.length > CERTIFICATE_BYTES_MAX) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `certificate is ${bytes.length} bytes long; at most ${CERTIFICATE_BYTES_MAX} are read`,
    );
  }
  const der = Buffer.from(bytes);
  try {
    return read(der, openSslView(der));
  } catch (cause) {
    if (!(cause instanceof DerError)) throw cause;
    throw new MeshError('CERTIFICATE_INVALID', `certificate ${cause.message}`, { cause });
  }
}

function openSslView(der: Buffer): { x509: X509Certificate; publicKey: KeyObject } {
  try {
    const x509 = new X509Certificate(der);
    return { x509, publicKey: x509.publicKey };
  } catch (cause) {
    throw new DerError('is not one that OpenSSL can read', { cause });
  }
}

function read(
  der: Buffer,
  view: { x509: X509Certificate; publicKey: KeyObject },
): ParsedCertificate {
  const [tbs, algorithm] = itemsOfSequence(decode(der), 'certificate');
  const fields = itemsOfSequence(tbs, 'tbsCertificate');
  const subject = fields[isTagged(fields[0], 0) ? 5 : 4];
  if (subject === undefined) throw new DerError('has no subject where one belongs');
  const extensions = readExtensions(fields.find(field => isTagged(field, 3)));
  const at = (oid: string): Asn1 | undefined => extensions.get(oid)?.value;
  const constraints = at(OID.basicConstraints);
  const [ca, pathLength] =
    constraints === undefined ? [] : itemsOfSequence(constraints, 'basicConstraints');
  return {
    der,
    ...view,
    notBeforeMs: dateOf(view.x509.validFrom),
    notAfterMs: dateOf(view.x509.validTo),
    signatureAlgorithm: oidOf(itemsOfSequence(algorithm, 'algorithm')[0], 'algorithm'),
    subject,
    subjectKeyId: optional(at(OID.subjectKeyIdentifier), node => octetsOf(node, 'key identifier')),
    uris: optional(at(OID.subjectAltName), urisOf) ?? [],
    isCa: booleanOf(ca) ?? false,
    pathLength: optional(pathLength, node => smallIntegerOf(node, 'path length')),
    keyUsage: optional(at(OID.keyUsage), keyUsageOf),
    extendedKeyUsage: optional(at(OID.extendedKeyUsage), node =>
      itemsOfSequence(node, 'extendedKeyUsage').map(item => oidOf(item, 'key purpose')),
    ),
    nameConstraints: optional(at(OID.nameConstraints), nameConstraintsOf),
    unknownCritical: [...extensions]
      .filter(([oid, extension]) => extension.critical && !UNDERSTOOD.has(oid))
      .map(([oid]) => oid),
  };
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.extendedKeyUsage,
]);

interface Extension {
  readonly critical: boolean;
  readonly value: Asn1 | undefined;
}

/** Values are decoded only for extensions this reader understands. Repeated ones are an error. */
function readExtensions(wrapper: Asn1 | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  if (wrapper === undefined) return extensions;
  for (const item of itemsOfSequence(itemsOf(wrapper, 'extensions')[0], 'extensions')) {
    const [id, second, third] = itemsOfSequence(item, 'extension');
    const oid = oidOf(id, 'extension name');
    const critical = booleanOf(second);
    const value = octetsOf(critical === undefined ? second : third, 'extension value');
    if (extensions.has(oid)) throw new DerError(`has extension ${oid} twice`);
    extensions.set(oid, {
      critical: critical ?? false,
      value: UNDERSTOOD.has(oid) ? decode(value) : undefined,
    });
  }
  return extensions;
}

/** The URI names of a SubjectAltName. */
export function urisOf(names: Asn1): readonly string[] {
  return itemsOfSequence(names, 'subjectAltName')
    .filter(name => isTagged(name, GENERAL_NAME_URI))
    .map(name => bytesOf(name, 'URI name').toString('latin1'));
}

function keyUsageOf(node: Asn1): KeyUsage {
  const bits = bitsOf(node, 'keyUsage')[0] ?? 0;
  return {
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    crlSign: (bits & 0x02) !== 0,
  };
}

function nameConstraintsOf(node: Asn1): NameConstraints {
  const trees = itemsOfSequence(node, 'nameConstraints');
  const basesOf = (tag: number): readonly Asn1[] => {
    const tree = trees.find(item => isTagged(item, tag));
    if (tree === undefined) return [];
    return itemsOf(tree, 'subtrees').flatMap(subtree =>
      itemsOfSequence(subtree, 'subtree').slice(0, 1),
    );
  };
  const uris = (bases: readonly Asn1[]): readonly string[] =>
    bases
      .filter(base => isTagged(base, GENERAL_NAME_URI))
      .map(base => bytesOf(base, 'URI constraint').toString('latin1'));
  const permitted = basesOf(0);
  const excluded = basesOf(1);
  return {
    permittedUris: uris(permitted),
    excludedUris: uris(excluded),
    otherForms: [...permitted, ...excluded].some(base => !isTagged(base, GENERAL_NAME_URI)),
  };
}

function optional<T>(node: Asn1 | undefined, read: (node: Asn1) => T): T | undefined {
  return node === undefined ? undefined : read(node);
}

function dateOf(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new DerError('has a validity date that cannot be read');
  return ms;
}
