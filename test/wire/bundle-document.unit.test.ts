/** SPIFFE Trust Domain and Bundle §4: what a document says, and what it must not be able to say. */

import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { isMeshError, messageOf } from '../../src/mesh/errors.ts';
import { requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import type { JwtAuthority, TrustBundle } from '../../src/mesh/trust-bundle.ts';
import {
  BUNDLE_AUTHORITIES_MAX,
  BUNDLE_BYTES_MAX,
  BUNDLE_REVOKED_MAX,
  formatBundleDocument,
  parseBundleDocument,
} from '../../src/wire/bundle-document.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';

const A = testAuthority('a.example');
const B = testAuthority('b.example');
const BUNDLE: TrustBundle = { ...A.bundle, sequence: 7, refreshHintSeconds: 60 };
const JWT_KEYS = {
  ec: jwtAuthority('ec', generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey),
  rsa: jwtAuthority('rsa', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey),
};
const REVOKED = ['spiffe://a.example/ns/shop/sa/cart', 'spiffe://a.example/ns/shop/sa/web'].map(
  requireSpiffeId,
);

function jwtAuthority(keyId: string, key: KeyObject): JwtAuthority {
  return { keyId, spki: key.export({ type: 'spki', format: 'der' }) };
}

type Json = Record<string, unknown>;
function document(): Json & { keys: Json[] } {
  return JSON.parse(Buffer.from(formatBundleDocument(BUNDLE)).toString()) as ReturnType<
    typeof document
  >;
}
function parse(value: unknown): TrustBundle {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return parseBundleDocument(Buffer.from(text), A.trustDomain);
}
function refusalOf(value: unknown): string {
  try {
    parse(value);
  } catch (error) {
    expect(isMeshError(error, 'PROTOCOL_VIOLATION'), messageOf(error)).to.equal(true);
    return messageOf(error);
  }
  return 'accepted';
}

describe('bundle documents', () => {
  it('read back as the bundle they were made of', () => {
    expect(parseBundleDocument(formatBundleDocument(BUNDLE), A.trustDomain)).to.deep.equal(BUNDLE);
    const empty = { ...BUNDLE, x509Authorities: [] };
    expect(parseBundleDocument(formatBundleDocument(empty), A.trustDomain)).to.deep.equal(empty);
    const full = { ...BUNDLE, jwtAuthorities: [JWT_KEYS.ec, JWT_KEYS.rsa], revoked: REVOKED };
    expect(parseBundleDocument(formatBundleDocument(full), A.trustDomain)).to.deep.equal(full);
  });

  it('are JWK Sets whose keys are those of the certificates', () => {
    const { keys, ...rest } = document();
    expect(rest).to.deep.equal({ spiffe_sequence: 7, spiffe_refresh_hint: 60 });
    const { crv, x, y } = A.root.certificate.publicKey.export({ format: 'jwk' });
    const x5c = [A.root.certificate.der.toString('base64')];
    expect(keys).to.deep.equal([{ use: 'x509-svid', kty: 'EC', crv, x, y, x5c }]);
  });

  it('carry revoked identities in a member of their own, each once and in order', () => {
    const [cart, web] = REVOKED;
    const value = { ...document(), isthmus_revoked: [web, cart, web] };
    expect(parse(value)).to.deep.equal({ ...BUNDLE, revoked: [cart, web] });
  });

  it('give away no private key that someone published with a public one', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = privateKey.export({ format: 'jwk' });
    const { jwtAuthorities } = parse({ keys: [{ use: 'jwt-svid', kid: 'k', ...jwk }] });
    expect(jwtAuthorities).to.deep.equal([jwtAuthority('k', createPublicKey(privateKey))]);
  });

  it('without a sequence or a hint get the first sequence and five minutes', () => {
    const { keys } = document();
    expect(parse({ keys })).to.include({ sequence: 0, refreshHintSeconds: 300 });
  });

  it('keep to what they know: other uses and key types are passed over', () => {
    const { keys } = document();
    const [root] = keys;
    const others = [
      { use: 'jwt-svid', kty: 'oct', k: 'AA' },
      { ...root, use: 'something-new' },
      { ...root, kty: 'PQC' },
      { ...root, use: undefined },
      { kty: 'EC' },
    ];
    expect(parse({ keys: [...others, root] }).x509Authorities).to.deep.equal([
      A.root.certificate.der,
    ]);
  });

  const jwtKey = (change: Json): Json => ({
    ...{ use: 'jwt-svid', kid: 'k' },
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
    ...change,
  });
  const revoking = (...ids: readonly string[]): Json => ({ ...document(), isthmus_revoked: ids });
  const key = (): Json => document().keys[0]!;
  const x5cOf = (...certificates: readonly Buffer[]): Json => ({
    keys: [{ ...key(), x5c: certificates.map(der => der.toString('base64')) }],
  });
  const refusals: readonly [title: string, value: () => unknown, why: RegExp][] = [
    ['that are not JSON', () => '{"keys":[', /JSON|Unexpected/],
    ['that are a list', () => [], /document must be an object/],
    ['without keys', () => ({}), /keys must be an array/],
    ['whose keys are an object', () => ({ keys: {} }), /keys must be an array/],
    ['with a key that is text', () => ({ keys: ['x'] }), /keys\[0\] must be an object/],
    ['with a key without a certificate', () => ({ keys: [{ ...key(), x5c: [] }] }), /exactly one/],
    ['with a key without x5c', () => ({ keys: [{ ...key(), x5c: undefined }] }), /exactly one/],
    [
      'with a key of two certificates',
      () => x5cOf(A.root.certificate.der, A.root.certificate.der),
      /exactly one/,
    ],
    ['with a certificate that is junk', () => x5cOf(Buffer.from('junk')), /bundle of "a.example"/],
    ['with base64 that is not', () => ({ keys: [{ ...key(), x5c: ['%%%'] }] }), /not base64/],
    ['with a leaf as root', () => x5cOf(testSvid(A).chain[0]!), /not a CA/],
    ['with the root of another', () => x5cOf(B.root.certificate.der), /another trust domain/],
    ['with a negative sequence', () => ({ ...document(), spiffe_sequence: -1 }), /spiffe_sequence/],
    ['with a textual sequence', () => ({ ...document(), spiffe_sequence: '7' }), /spiffe_sequence/],
    ['with half a second', () => ({ ...document(), spiffe_refresh_hint: 0.5 }), /refresh_hint/],
    ['with a JWT key without a name', () => ({ keys: [jwtKey({ kid: undefined })] }), /no kid/],
    [
      'with two JWT keys of one name',
      () => ({ keys: [jwtKey({}), jwtKey({})] }),
      /kid stands twice/,
    ],
    ['with a JWT key named at length', () => ({ keys: [jwtKey({ kid: 'k'.repeat(129) })] }), /128/],
    ['with a JWT key off its curve', () => ({ keys: [jwtKey({ x: 'AA' })] }), /no public key/],
    [
      'revoking what is no list',
      () => ({ ...document(), isthmus_revoked: {} }),
      /must be an array/,
    ],
    ['revoking what is no ID', () => revoking('spiffe://a.example/../x'), /isthmus_revoked\[0\]/],
    ["revoking another's identity", () => revoking('spiffe://b.example/x'), /isthmus_revoked\[0\]/],
    ['revoking themselves', () => revoking('spiffe://a.example'), /isthmus_revoked\[0\]/],
    [
      'revoking more than a handshake can look through',
      () => revoking(...Array.from({ length: BUNDLE_REVOKED_MAX + 1 }, () => REVOKED[0]!)),
      /at most 500/,
    ],
    [
      'with more roots than a handshake can afford',
      () => ({ keys: Array.from({ length: BUNDLE_AUTHORITIES_MAX + 1 }, key) }),
      /at most 32/,
    ],
  ];
  for (const [title, value, why] of refusals) {
    it(`${title} are refused whole`, () => expect(refusalOf(value())).to.match(why));
  }

  it('of exactly as many roots as are read are read', () => {
    const keys = Array.from({ length: BUNDLE_AUTHORITIES_MAX }, key);
    expect(parse({ keys }).x509Authorities).to.have.length(BUNDLE_AUTHORITIES_MAX);
  });

  it('with one name twice or a prototype in them do no harm', () => {
    const text = JSON.stringify(document());
    const poisoned = `{"__proto__":{"keys":[],"allow":true},"keys":[],${text.slice(1)}`;
    expect(parse(poisoned)).to.deep.equal(BUNDLE);
    expect(refusalOf('{"__proto__":{"keys":[]}}')).to.match(/keys must be an array/);
    expect(({} as Json)['allow']).to.equal(undefined);
  });

  it('that are not UTF-8 or too long are refused', () => {
    const invalid = Buffer.from([...Buffer.from('{"keys":[],"x":"'), 0xff, ...Buffer.from('"}')]);
    expect(() => parseBundleDocument(invalid, A.trustDomain)).to.throw(/a\.example/);
    const padded = Buffer.from(`{"keys":[]${' '.repeat(BUNDLE_BYTES_MAX)}}`);
    expect(() => parseBundleDocument(padded, A.trustDomain))
      .to.throw(/at most 1048576/)
      .that.satisfies((error: unknown) => isMeshError(error, 'LIMIT_EXCEEDED'));
    const fitting = padded.subarray(0, BUNDLE_BYTES_MAX - 1).toString();
    expect(parse(`${fitting}}`).x509Authorities).to.be.empty;
  });

  it('nested without end are refused', () => {
    expect(refusalOf(`{"keys":${'['.repeat(200_000)}`)).to.match(/a\.example/);
  });
});

describe('bundle document parsing', () => {
  it('of any JSON ends in a bundle or a MeshError', () => {
    const good = document();
    const value = fc.oneof(
      fc.json(),
      fc.record({ keys: fc.anything(), spiffe_sequence: fc.anything() }).map(stringify),
      fc
        .record({ use: fc.constant('x509-svid'), kty: fc.constant('EC'), x5c: fc.anything() })
        .map(entry => stringify({ keys: [entry] })),
      fc.nat({ max: 700 }).map(length => JSON.stringify(good).slice(0, length)),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(value, text => {
        try {
          expect(parse(text).trustDomain).to.equal('a.example');
        } catch (error) {
          expect(isMeshError(error), messageOf(error)).to.equal(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function stringify(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? Number(each) : each,
  );
}
