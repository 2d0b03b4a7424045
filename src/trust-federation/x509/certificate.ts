/**
 * The four certificates Isthmus issues, each from its own template: root, intermediate, and leaf (a
 * workload's or a member's).
 *
 * Nothing of a request is copied but its public key, and the identity comes from whoever attested it.
 * Written with our DER writer, signed by node:crypto (ECDSA P-256, or what an imported authority has). RFC 5280 and the
 * X509-SVID specification; `openssl verify -x509_strict` accepts them all.
 */

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import {
  type Asn1,
  bitString,
  bitsOf,
  boolean,
  decode,
  encode,
  integer,
  itemsOfSequence,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  tagged,
  taggedOf,
  time,
  utf8String,
} from './der.ts';
import { GENERAL_NAME_URI, OID } from './oids.ts';
import { type ParsedCertificate, parseCertificate } from './parsed-certificate.ts';

/** A certificate with its private key. */
export interface Signer {
  readonly certificate: ParsedCertificate;
  readonly key: KeyObject;
}

const ROOT_TTL_MS = 10 * 365 * 86_400_000;
export const INTERMEDIATE_TTL_MS = 365 * 86_400_000;
/** Clocks of peers may be this much behind ours. */
export const BACKDATE_MS = 60_000;
/** An authority may have to sign right after its clock was set back, and is then in the chain. */
export const AUTHORITY_BACKDATE_MS = 86_400_000;

export interface AuthoritySubject {
  /** Who runs the authority: the common name, for people. */
  readonly name: string;
  readonly trustDomain: TrustDomain;
}

/** Self-signed. X509-SVID §2: a signing certificate carries its trust domain's own ID, without a path. */
export function issueRoot(subject: AuthoritySubject, key: KeyObject, nowMs: number): Buffer {
  return write({
    issuer: undefined,
    key,
    subject: distinguishedName(subject.name, 'Isthmus root'),
    publicKey: createPublicKey(key),
    nowMs,
    backdateMs: AUTHORITY_BACKDATE_MS,
    ttlMs: ROOT_TTL_MS,
    extensions: [
      basicConstraints({ ca: true }),
      keyUsage(CERT_SIGN | CRL_SIGN),
      alternativeName(`spiffe://${subject.trustDomain}`, false),
    ],
  });
}

/** May sign leaves of its own trust domain and nothing else, should its key be stolen. */
export function issueIntermediate(
  subject: AuthoritySubject,
  publicKey: KeyObject,
  issuer: Signer,
  nowMs: number,
): Buffer {
  return write({
    issuer: issuer.certificate,
    key: issuer.key,
    subject: distinguishedName(subject.name, 'Isthmus issuer'),
    publicKey,
    nowMs,
    backdateMs: AUTHORITY_BACKDATE_MS,
    ttlMs: INTERMEDIATE_TTL_MS,
    extensions: [
      basicConstraints({ ca: true, pathLength: 0 }),
      keyUsage(CERT_SIGN | CRL_SIGN),
      alternativeName(`spiffe://${subject.trustDomain}`, false),
      onlyUrisOf(subject.trustDomain),
    ],
  });
}

export interface LeafSubject {
  readonly publicKey: KeyObject;
  /** Its SubjectPublicKeyInfo where that is at hand: writing it anew costs four signatures (115 µs). */
  readonly spki?: Buffer;
  readonly id: SpiffeId;
  readonly ttlMs: number;
}

/** An X509-SVID. The identity is in the critical URI SAN alone; the subject stays empty. */
export function issueLeaf(subject: LeafSubject, issuer: Signer, nowMs: number): Buffer {
  return write({
    issuer: issuer.certificate,
    key: issuer.key,
    subject: sequence(),
    publicKey: subject.publicKey,
    ...(subject.spki === undefined ? {} : { spki: subject.spki }),
    nowMs,
    backdateMs: BACKDATE_MS,
    ttlMs: subject.ttlMs,
    extensions: [...LEAF_EXTENSIONS, alternativeName(subject.id, true)],
  });
}

/** Throws CERTIFICATE_INVALID when the key is another certificate's. */
export function signerOf(der: Uint8Array, key: KeyObject): Signer {
  const certificate = parseCertificate(der);
  if (certificate.x509.checkPrivateKey(key)) return { certificate, key };
  throw new MeshError(
    'CERTIFICATE_INVALID',
    'certificate is for another key than the one beside it',
  );
}

interface Template {
  /** Undefined: self-signed. */
  readonly issuer: ParsedCertificate | undefined;
  readonly key: KeyObject;
  readonly subject: Asn1;
  readonly publicKey: KeyObject;
  readonly spki?: Buffer;
  readonly nowMs: number;
  readonly backdateMs: number;
  readonly ttlMs: number;
  readonly extensions: readonly Asn1[];
}

function write(template: Template): Buffer {
  const { issuer } = template;
  const spki = decode(template.spki ?? template.publicKey.export({ type: 'spki', format: 'der' }));
  const keyId = keyIdentifier(spki);
  // Never outlives its issuer: a chain must not break in the middle.
  const notAfterMs = Math.min(
    template.nowMs + template.ttlMs,
    issuer?.notAfterMs ?? Number.POSITIVE_INFINITY,
  );
  const { digest, identifier: algorithm } = algorithmOf(template.key);
  const tbs = sequence(
    taggedOf(0, integer(Buffer.of(2))),
    integer(serialNumber()),
    algorithm,
    issuer?.subject ?? template.subject,
    sequence(time(template.nowMs - template.backdateMs), time(notAfterMs)),
    template.subject,
    spki,
    taggedOf(
      3,
      sequence(
        ...template.extensions,
        extension(OID.subjectKeyIdentifier, false, octetString(keyId)),
        extension(
          OID.authorityKeyIdentifier,
          false,
          sequence(tagged(0, issuer?.subjectKeyId ?? keyId)),
        ),
      ),
    ),
  );
  return encode(sequence(tbs, algorithm, bitString(sign(digest, encode(tbs), template.key))));
}

/** Our own keys are ECDSA P-256; an imported authority's may be another (RFC 5758 §3.2, RFC 4055 §5). */
function algorithmOf(key: KeyObject): { readonly digest: string; readonly identifier: Asn1 } {
  if (key.asymmetricKeyType === 'rsa') {
    return { digest: 'sha256', identifier: sequence(oid(OID.rsaWithSha256), nullValue()) };
  }
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
    ? { digest: 'sha384', identifier: sequence(oid(OID.ecdsaWithSha384)) }
    : { digest: 'sha256', identifier: sequence(oid(OID.ecdsaWithSha256)) };
}

/** Positive, never short, 126 random bits. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** RFC 7093 §2 method 1: the first 160 bits of the public key's SHA-256. */
function keyIdentifier(spki: Asn1): Buffer {
  const bits = bitsOf(itemsOfSequence(spki, 'public key')[1], 'public key');
  return createHash('sha256').update(bits).digest().subarray(0, 20);
}

const DIGITAL_SIGNATURE = 0x80;
const CERT_SIGN = 0x04;
const CRL_SIGN = 0x02;

function keyUsage(bits: number): Asn1 {
  // DER drops trailing zero bits of a named bit list (X.690 §11.2.2).
  const unusedBits = 31 - Math.clz32(bits & -bits);
  return extension(OID.keyUsage, true, bitString(Buffer.of(bits), unusedBits));
}

function basicConstraints(options: { ca: boolean; pathLength?: number }): Asn1 {
  const items = options.ca ? [boolean(true)] : [];
  if (options.pathLength !== undefined) items.push(integer(Buffer.of(options.pathLength)));
  return extension(OID.basicConstraints, true, sequence(...items));
}

/** RFC 5280 §4.1.2.6: critical exactly when the subject is empty. */
function alternativeName(uri: string, critical: boolean): Asn1 {
  const name = tagged(GENERAL_NAME_URI, Buffer.from(uri, 'latin1'));
  return extension(OID.subjectAltName, critical, sequence(name));
}

/** RFC 5280 §4.2.1.10: a URI constraint is the host alone. */
function onlyUrisOf(trustDomain: TrustDomain): Asn1 {
  const base = tagged(GENERAL_NAME_URI, Buffer.from(trustDomain, 'latin1'));
  return extension(OID.nameConstraints, true, sequence(taggedOf(0, sequence(base))));
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(encode(value)));
}

/** The same in every leaf, so made once. */
const LEAF_EXTENSIONS = [
  basicConstraints({ ca: false }),
  keyUsage(DIGITAL_SIGNATURE),
  extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth), oid(OID.clientAuth))),
];

function distinguishedName(commonName: string, organization: string): Asn1 {
  const attribute = (id: string, value: string): Asn1 =>
    setOf(sequence(oid(id), utf8String(value)));
  return sequence(attribute(OID.organization, organization), attribute(OID.commonName, commonName));
}
