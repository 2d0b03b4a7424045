/**
 * A PKCS#12 trust store (RFC 7292): certificates and no key, as Java's keytool and OpenSSL read it.
 *
 * The certificates are public and stay in the clear; the password protects them from being changed. Java
 * takes a certificate for trusted only with its own attribute that says so.
 */

import { createHmac, randomBytes } from 'node:crypto';
import forge from 'node-forge';
import {
  type Asn1,
  encode,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  taggedOf,
} from '../trust-federation/x509/der.ts';

export interface TrustedCertificate {
  readonly name: string;
  /** DER. */
  readonly certificate: Uint8Array;
}

const OID = {
  data: '1.2.840.113549.1.7.1',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  friendlyName: '1.2.840.113549.1.9.20',
  /** Oracle's; its value is the purposes it is trusted for. */
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  anyExtendedKeyUsage: '2.5.29.37.0',
  sha256: '2.16.840.1.101.3.4.2.1',
};

const ITERATIONS = 10_000;
/** RFC 7292 appendix B.3: material for a MAC. */
const MAC_KEY = 3;

/** DER. */
export function formatTrustStore(
  certificates: readonly TrustedCertificate[],
  password: string,
): Buffer {
  const contents = encode(sequence(...certificates.map(safeBag)));
  const authSafe = encode(sequence(dataOf(contents)));
  const salt = randomBytes(16);
  const mac = createHmac('sha256', macKey(password, salt)).update(authSafe).digest();
  const macData = sequence(
    sequence(sequence(oid(OID.sha256), nullValue()), octetString(mac)),
    octetString(salt),
    integer(Buffer.of(ITERATIONS >> 8, ITERATIONS & 0xff)),
  );
  return encode(sequence(integer(Buffer.of(3)), dataOf(authSafe), macData));
}

function safeBag({ name, certificate }: TrustedCertificate): Asn1 {
  const value = taggedOf(0, octetString(certificate));
  return sequence(
    oid(OID.certBag),
    taggedOf(0, sequence(oid(OID.x509Certificate), value)),
    setOf(
      sequence(oid(OID.friendlyName), setOf(bmpString(name))),
      sequence(oid(OID.trustedKeyUsage), setOf(oid(OID.anyExtendedKeyUsage))),
    ),
  );
}

function dataOf(content: Uint8Array): Asn1 {
  return sequence(oid(OID.data), taggedOf(0, octetString(content)));
}

function macKey(password: string, salt: Buffer): Buffer {
  const bytes = forge.util.createBuffer(salt.toString('latin1'));
  const md = forge.md.sha256.create();
  const key = forge.pkcs12.generateKey(password, bytes, MAC_KEY, ITERATIONS, 32, md);
  return Buffer.from(key.getBytes(), 'latin1');
}

/** forge writes its characters as UTF-16. */
function bmpString(text: string): Asn1 {
  const { Class, Type, create } = forge.asn1;
  return create(Class.UNIVERSAL, Type.BMPSTRING, false, text);
}
