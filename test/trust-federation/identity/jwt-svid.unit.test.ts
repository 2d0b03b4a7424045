import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { requireSpiffeId, type TrustDomain } from '../../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import {
  JWT_SVID_TTL_MS_MAX,
  type JwtSigningKey,
  signJwtSvid,
  verifyJwtSvid,
} from '../../../src/trust-federation/identity/jwt-svid.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';

const NOW = Date.UTC(2026, 6, 1, 12);
const WEB = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');
const EAST: JwtSigningKey = { key: generateSvidKey(), keyId: 'e1' };
const WEST: JwtSigningKey = { key: generateSvidKey(), keyId: 'w1' };
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 });

function bundleOf(name: string, keys: readonly JwtSigningKey[], revoked = false): TrustBundle {
  return {
    trustDomain: name as TrustDomain,
    sequence: 1,
    refreshHintSeconds: 300,
    x509Authorities: [],
    jwtAuthorities: keys.map(({ key, keyId }) => ({
      keyId,
      spki: createPublicKey(key).export({ type: 'spki', format: 'der' }),
    })),
    revoked: revoked ? [WEB] : [],
  };
}

const BUNDLES = new Map([
  [
    'east.example' as TrustDomain,
    bundleOf('east.example', [EAST, { key: RSA.privateKey, keyId: 'rsa' }]),
  ],
  ['west.example' as TrustDomain, bundleOf('west.example', [WEST])],
]);

const good = { id: WEB, audience: ['payments', 'ledger'], ttlMs: 300_000 };
const judge = (token: string, audience = 'payments', nowMs = NOW, bundles = BUNDLES) =>
  verifyJwtSvid(token, audience, bundles, nowMs);

/** Any header and claims, honestly signed with that key. */
function forge(header: object, claims: object, by = EAST): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), { key: by.key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

const HEADER = { alg: 'ES256', kid: 'e1', typ: 'JWT' };
const SECONDS = NOW / 1000;
const CLAIMS = { sub: WEB, aud: ['payments'], iat: SECONDS, exp: SECONDS + 300 };

describe('JWT-SVIDs', () => {
  it('are accepted with whom they are of, for each of their audiences, until they expire', () => {
    const token = signJwtSvid(good, EAST, NOW);
    for (const audience of good.audience) {
      const verdict = judge(token, audience);
      expect(verdict).to.include({ kind: 'accepted', id: WEB, expiresMs: NOW + 300_000 });
    }
    expect(judge(token, 'payments', NOW + 299_000).kind).to.equal('accepted');
    expect(judge(token, 'payments', NOW + 300_000).kind).to.equal('refused');
    expect(judge(forge(HEADER, CLAIMS)).kind).to.equal('accepted');
    expect(judge(forge(HEADER, { ...CLAIMS, aud: 'payments' })).kind).to.equal('accepted');
    expect(judge(forge({ alg: 'ES256', kid: 'e1' }, CLAIMS)).kind).to.equal('accepted');
  });

  it('are never made without an audience or to live longer than an hour', () => {
    expect(() => signJwtSvid({ ...good, audience: [] }, EAST, NOW)).to.throw(RangeError);
    const ttlMs = JWT_SVID_TTL_MS_MAX;
    expect(() => signJwtSvid({ ...good, ttlMs: ttlMs + 1 }, EAST, NOW)).to.throw(RangeError);
    expect(judge(signJwtSvid({ ...good, ttlMs }, EAST, NOW)).kind).to.equal('accepted');
  });

  const spki = createPublicKey(EAST.key).export({ type: 'spki', format: 'pem' });
  const hmac = (): string => {
    const [head = '', body = ''] = forge({ ...HEADER, alg: 'HS256' }, CLAIMS).split('.');
    const mac = createHmac('sha256', spki).update(`${head}.${body}`).digest('base64url');
    return `${head}.${body}.${mac}`;
  };
  const bare = (): string => {
    const [head = '', body = ''] = forge({ ...HEADER, alg: 'none' }, CLAIMS).split('.');
    return `${head}.${body}.`;
  };
  const tampered = (): string => {
    const [head = '', , mac = ''] = forge(HEADER, CLAIMS).split('.');
    const [, body = ''] = forge(HEADER, { ...CLAIMS, sub: `${WEB}x` }).split('.');
    return `${head}.${body}.${mac}`;
  };

  const refusals: readonly (readonly [what: string, token: () => string])[] = [
    ['without a signature (alg none)', bare],
    ['with alg none and a signature', () => forge({ ...HEADER, alg: 'none' }, CLAIMS)],
    ['signed with the public key as a shared secret', hmac],
    ['of an RSA algorithm for an EC key', () => forge({ ...HEADER, alg: 'RS256' }, CLAIMS)],
    ['of an EC algorithm for an RSA key', () => forge({ ...HEADER, kid: 'rsa' }, CLAIMS)],
    ['with claims from another token', tampered],
    ['signed by another trust domain’s key', () => forge({ ...HEADER, kid: 'w1' }, CLAIMS, WEST)],
    ['that names its own trust domain’s key but has another’s', () => forge(HEADER, CLAIMS, WEST)],
    ['of a trust domain nobody knows', () => forge(HEADER, { ...CLAIMS, sub: 'spiffe://x/y' })],
    [
      'with a key of their own in the header',
      () => forge({ ...HEADER, kid: 'x', jwk: {} }, CLAIMS),
    ],
    ['without a key ID', () => forge({ alg: 'ES256' }, CLAIMS)],
    ['with critical parameters', () => forge({ ...HEADER, crit: ['b64'] }, CLAIMS)],
    ['of another type', () => forge({ ...HEADER, typ: 'at+jwt' }, CLAIMS)],
    ['without a subject', () => forge(HEADER, { ...CLAIMS, sub: undefined })],
    [
      'whose subject is a trust domain',
      () => forge(HEADER, { ...CLAIMS, sub: 'spiffe://east.example' }),
    ],
    ['whose subject is no SPIFFE ID', () => forge(HEADER, { ...CLAIMS, sub: 'web' })],
    ['without an expiry', () => forge(HEADER, { ...CLAIMS, exp: undefined })],
    ['whose expiry is a text', () => forge(HEADER, { ...CLAIMS, exp: String(SECONDS + 300) })],
    ['that expired', () => forge(HEADER, { ...CLAIMS, exp: SECONDS - 1 })],
    ['of the future', () => forge(HEADER, { ...CLAIMS, iat: SECONDS + 120 })],
    ['that are not valid yet', () => forge(HEADER, { ...CLAIMS, nbf: SECONDS + 120 })],
    ['without an audience', () => forge(HEADER, { ...CLAIMS, aud: undefined })],
    ['for another audience', () => forge(HEADER, { ...CLAIMS, aud: ['ledger'] })],
    [
      'for an audience that only begins like it',
      () => forge(HEADER, { ...CLAIMS, aud: 'payments2' }),
    ],
    ['with a fourth part', () => `${forge(HEADER, CLAIMS)}.x`],
    ['with padding', () => `${forge(HEADER, CLAIMS)}==`],
    ['that are too long', () => forge(HEADER, { ...CLAIMS, more: 'x'.repeat(20_000) })],
    ['that are no tokens', () => 'hello'],
  ];
  for (const [what, token] of refusals) {
    it(`are refused ${what}`, () => {
      expect(judge(token()).kind).to.equal('refused');
    });
  }

  it('of a clock a little ahead of ours are accepted', () => {
    expect(judge(forge(HEADER, { ...CLAIMS, iat: SECONDS + 30 })).kind).to.equal('accepted');
  });

  it('of a revoked identity are refused', () => {
    const bundles = new Map([
      ['east.example' as TrustDomain, bundleOf('east.example', [EAST], true)],
    ]);
    expect(judge(forge(HEADER, CLAIMS), 'payments', NOW, bundles).kind).to.equal('refused');
  });
});
