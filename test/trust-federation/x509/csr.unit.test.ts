/** What an authority signs for, and everything that looks like it and is not. */

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect } from 'chai';
import { isMeshError, messageOf } from '../../../src/mesh/errors.ts';
import { requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import { CSR_BYTES_MAX } from '../../../src/trust-federation/limits.ts';
import { createCsr, parseCsr } from '../../../src/trust-federation/x509/csr.ts';
import {
  type Asn1,
  bitString,
  decode,
  encode,
  integer,
  oid,
  sequence,
  setOf,
  taggedOf,
  utf8String,
} from '../../../src/trust-federation/x509/der.ts';
import { OID } from '../../../src/trust-federation/x509/oids.ts';
import { basicConstraints, extendedKeyUsage, names, uriConstraints } from '../pki.ts';

const ID = requireSpiffeId('spiffe://a.example/ns/shop/sa/cart');
const KEY = generateSvidKey();

interface Request {
  readonly key?: KeyObject;
  readonly signedBy?: KeyObject;
  readonly version?: number;
  readonly subject?: Asn1;
  readonly algorithm?: string;
  readonly attributes?: readonly Asn1[];
}

function request(parts: Request): Buffer {
  const key = parts.key ?? KEY;
  const info = sequence(
    integer(Buffer.of(parts.version ?? 0)),
    parts.subject ?? sequence(),
    decode(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    taggedOf(0, ...(parts.attributes ?? [requested(names([6, ID]))])),
  );
  const signature = sign('sha256', encode(info), parts.signedBy ?? key);
  const algorithm = sequence(oid(parts.algorithm ?? OID.ecdsaWithSha256));
  return encode(sequence(info, algorithm, bitString(signature)));
}

function requested(...extensions: readonly Asn1[]): Asn1 {
  return sequence(oid(OID.extensionRequest), setOf(sequence(...extensions)));
}

function refusalOf(der: Uint8Array): string {
  try {
    parseCsr(der);
  } catch (error) {
    expect(isMeshError(error, 'CSR_REFUSED'), messageOf(error)).to.equal(true);
    return messageOf(error);
  }
  return 'accepted';
}

describe('CSRs', () => {
  it('carry a public key and the one identity asked for', () => {
    const { publicKey, id } = parseCsr(createCsr(KEY, ID));
    expect(id).to.equal(ID);
    expect(publicKey.equals(createPublicKey(KEY))).to.equal(true);
    expect(refusalOf(request({}))).to.equal('accepted');
  });

  it('may name a subject, which is not looked at', () => {
    const subject = sequence(setOf(sequence(oid(OID.commonName), utf8String('spiffe://b/x'))));
    expect(parseCsr(request({ subject })).id).to.equal(ID);
  });

  const uri = names([6, ID]);
  const other = generateSvidKey();
  const refusals: readonly [title: string, der: () => Uint8Array, why: RegExp][] = [
    ['another key signed', () => request({ signedBy: other }), /not signed by the key/],
    ['of another version', () => request({ version: 1 }), /not of version 1/],
    ['without attributes', () => request({ attributes: [] }), /0 of one attribute/],
    [
      'with two attributes',
      () => request({ attributes: [requested(uri), requested(uri)] }),
      /2 of one attribute/,
    ],
    [
      'with a challenge password',
      () =>
        request({
          attributes: [sequence(oid('1.2.840.113549.1.9.7'), setOf(utf8String('secret')))],
        }),
      /attribute other than/,
    ],
    ['with no extension', () => request({ attributes: [requested()] }), /0 of one extension/],
    [
      'asking to be a CA',
      () => request({ attributes: [requested(uri, basicConstraints(true))] }),
      /2 of one extension/,
    ],
    [
      'asking for constraints instead of a name',
      () => request({ attributes: [requested(uriConstraints(['a.example'], []))] }),
      /other than subjectAltName/,
    ],
    [
      'asking for key purposes',
      () => request({ attributes: [requested(extendedKeyUsage(OID.serverAuth))] }),
      /other than subjectAltName/,
    ],
    [
      'for two URIs',
      () => request({ attributes: [requested(names([6, ID], [6, `${ID}x`]))] }),
      /2 of one name/,
    ],
    [
      'for a URI and a DNS name',
      () => request({ attributes: [requested(names([6, ID], [2, 'gateway']))] }),
      /2 of one name/,
    ],
    [
      'for a DNS name',
      () => request({ attributes: [requested(names([2, 'gateway']))] }),
      /not a URI/,
    ],
    ['for no name', () => request({ attributes: [requested(names())] }), /0 of one name/],
    [
      'for what is no SPIFFE ID',
      () => request({ attributes: [requested(names([6, 'spiffe://a.example/../x']))] }),
      /relative segment/,
    ],
    [
      'with an object identifier beyond numbers',
      () => request({ attributes: [sequence(hugeOid(), setOf(sequence()))] }),
      /unreadable attribute name/,
    ],
    ['cut short', () => createCsr(KEY, ID).subarray(0, -1), /not well-formed DER/],
    [
      'with bytes behind',
      () => Buffer.concat([createCsr(KEY, ID), Buffer.of(0)]),
      /not well-formed DER/,
    ],
    ['in BER', () => nonCanonical(createCsr(KEY, ID)), /not canonical DER/],
    ['of no bytes', () => Buffer.alloc(0), /not well-formed DER/],
    ['nested without end', () => Buffer.from('30800000'.repeat(3_000), 'hex'), /DER/],
    ['of eight megabytes', () => Buffer.alloc(8 * 1_048_576), /at most 16384/],
    ['a byte too long', () => Buffer.alloc(CSR_BYTES_MAX + 1), /at most 16384/],
  ];
  for (const [title, der, why] of refusals) {
    it(`${title} are refused`, () => expect(refusalOf(der())).to.match(why));
  }

  it('for keys other than ECDSA P-256 are refused', () => {
    const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { privateKey: p384 } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    expect(refusalOf(request({ key: rsa }))).to.match(/not ECDSA P-256/);
    expect(refusalOf(request({ key: p384 }))).to.match(/not ECDSA P-256/);
    expect(refusalOf(request({ algorithm: OID.ecdsaWithSha384 }))).to.match(/SHA-256/);
    expect(refusalOf(request({ key: other }))).to.equal('accepted');
  });
});

/** 1.2.840 and an arc of 70 bits. */
function hugeOid(): Asn1 {
  return decode(Buffer.from(`060d2a8648${'ff'.repeat(9)}7f`, 'hex'));
}

/** The outer length in three bytes where two are enough. */
function nonCanonical(der: Buffer): Buffer {
  const short = der[1] === 0x81 ? 3 : 4;
  const length = der.length - short;
  return Buffer.concat([Buffer.of(0x30, 0x83, 0, length >> 8, length & 0xff), der.subarray(short)]);
}
