/**
 * Certificates for tests: honest ones from our own templates, and any other, field by field, as someone
 * hostile with a real CA key could sign them.
 */

import { createPublicKey, type KeyObject, sign } from 'node:crypto';
import { requireSpiffeId, type SpiffeId, type TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { bundleOf } from '../../src/trust-federation/authority/root-file.ts';
import { generateSvidKey, parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import {
  issueIntermediate,
  issueLeaf,
  issueRoot,
  type Signer,
  signerOf,
} from '../../src/trust-federation/x509/certificate.ts';
import {
  type Asn1,
  bitString,
  boolean,
  decode,
  encode,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  tagged,
  taggedOf,
  time,
  utf8String,
} from '../../src/trust-federation/x509/der.ts';
import { OID } from '../../src/trust-federation/x509/oids.ts';

export const NOW = Date.UTC(2026, 6, 1, 12);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export interface TestAuthority {
  readonly trustDomain: TrustDomain;
  readonly root: Signer;
  readonly intermediate: Signer;
  readonly bundle: TrustBundle;
}

export function testAuthority(name: string, nowMs = NOW): TestAuthority {
  const subject = { name: name.split('.')[0] ?? name, trustDomain: name as TrustDomain };
  const rootKey = generateSvidKey();
  const root = signerOf(issueRoot(subject, rootKey, nowMs), rootKey);
  const key = generateSvidKey();
  const intermediate = signerOf(issueIntermediate(subject, createPublicKey(key), root, nowMs), key);
  const { trustDomain } = subject;
  return { trustDomain, root, intermediate, bundle: bundleOf([root.certificate]) };
}

/** An honest SVID; `path` such as `ns/shop/sa/cart`. */
export function testSvid(authority: TestAuthority, path = 'ns/shop/sa/cart', nowMs = NOW): Svid {
  const key = generateSvidKey();
  const id = idOf(authority, path);
  const subject = { id, publicKey: createPublicKey(key), ttlMs: HOUR_MS };
  const leaf = issueLeaf(subject, authority.intermediate, nowMs);
  return parseSvid([leaf, authority.intermediate.certificate.der], key);
}

export function idOf(authority: TestAuthority, path: string): SpiffeId {
  return requireSpiffeId(`spiffe://${authority.trustDomain}/${path}`);
}

export interface Forgery {
  /** Undefined: self-signed. */
  readonly signer?: Signer | undefined;
  readonly key: KeyObject;
  readonly commonName?: string;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly extensions: readonly Asn1[];
}

export function forgeCertificate(forgery: Forgery): Buffer {
  const { signer, key, commonName } = forgery;
  const subject =
    commonName === undefined
      ? sequence()
      : sequence(setOf(sequence(oid(OID.commonName), utf8String(commonName))));
  const rsa = (signer?.key ?? key).asymmetricKeyType === 'rsa';
  const algorithm = sequence(oid(rsa ? OID.rsaWithSha256 : OID.ecdsaWithSha256));
  const tbs = sequence(
    taggedOf(0, integer(Buffer.of(2))),
    integer(Buffer.of(7)),
    algorithm,
    signer?.certificate.subject ?? subject,
    sequence(time(forgery.notBeforeMs ?? NOW - HOUR_MS), time(forgery.notAfterMs ?? NOW + DAY_MS)),
    subject,
    decode(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    taggedOf(3, sequence(...forgery.extensions)),
  );
  const signature = sign('sha256', encode(tbs), signer?.key ?? key);
  return encode(sequence(tbs, algorithm, bitString(signature)));
}

export function forgeSigner(forgery: Omit<Forgery, 'key'>): Signer {
  const key = generateSvidKey();
  return signerOf(forgeCertificate({ ...forgery, key }), key);
}

export function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(encode(value)));
}

/** Names by GeneralName tag (RFC 5280 §4.2.1.6): 6 is a URI, 2 a DNS name. */
export function names(...entries: readonly (readonly [tag: number, value: string])[]): Asn1 {
  const list = entries.map(([tag, value]) => tagged(tag, Buffer.from(value, 'latin1')));
  return extension(OID.subjectAltName, true, sequence(...list));
}

export function basicConstraints(ca: boolean, pathLength?: number): Asn1 {
  const items = [
    ...(ca ? [boolean(true)] : []),
    ...(pathLength === undefined ? [] : [integer(Buffer.of(pathLength))]),
  ];
  return extension(OID.basicConstraints, true, sequence(...items));
}

export const DIGITAL_SIGNATURE = 0x80;
export const CERT_SIGN = 0x04;
export const CRL_SIGN = 0x02;

export function keyUsage(bits: number): Asn1 {
  return extension(OID.keyUsage, true, bitString(Buffer.of(bits), 31 - Math.clz32(bits & -bits)));
}

export function extendedKeyUsage(...purposes: readonly string[]): Asn1 {
  return extension(OID.extendedKeyUsage, false, sequence(...purposes.map(oid)));
}

export function uriConstraints(permitted: readonly string[], excluded: readonly string[]): Asn1 {
  const subtrees = (tag: number, bases: readonly string[]): readonly Asn1[] =>
    bases.length === 0
      ? []
      : [taggedOf(tag, ...bases.map(base => sequence(tagged(6, Buffer.from(base)))))];
  const trees = [...subtrees(0, permitted), ...subtrees(1, excluded)];
  return extension(OID.nameConstraints, true, sequence(...trees));
}

/** What an honest leaf has beside its names. */
export const LEAF_EXTENSIONS: readonly Asn1[] = [
  basicConstraints(false),
  keyUsage(DIGITAL_SIGNATURE),
];
export const CA_EXTENSIONS: readonly Asn1[] = [basicConstraints(true), keyUsage(CERT_SIGN)];
