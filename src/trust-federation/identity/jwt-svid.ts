/**
 * JWT-SVIDs: writing ours, and the one door for anybody's (JWT-SVID specification; RFC 7515, RFC 7519).
 *
 * A token is judged by the keys of its own subject's trust domain and by no other, with an algorithm that
 * suits the kind of key: what the header says about keys is never believed. Never throws: tokens are data.
 */

import { constants, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { parseSpiffeId, type SpiffeId } from '../../mesh/spiffe-id.ts';
import { JWT_SVID_CHARS_MAX } from '../limits.ts';
import type { BundleSource } from '../peers/verify.ts';

/** JWT-SVIDs are bearer tokens: short, whoever asks. */
export const JWT_SVID_TTL_MS_DEFAULT = 5 * 60_000;
export const JWT_SVID_TTL_MS_MAX = 3_600_000;
/** Clocks of issuers may be this much ahead of ours. */
const CLOCK_SKEW_SECONDS = 60;

export interface JwtSigningKey {
  /** ECDSA P-256. */
  readonly key: KeyObject;
  readonly keyId: string;
}

export interface JwtSvidSubject {
  readonly id: SpiffeId;
  /** At least one. */
  readonly audience: readonly string[];
  readonly ttlMs: number;
}

export function signJwtSvid(subject: JwtSvidSubject, by: JwtSigningKey, nowMs: number): string {
  const { id, audience, ttlMs } = subject;
  if (audience.length === 0) throw new RangeError('a JWT-SVID needs an audience');
  if (!(ttlMs > 0 && ttlMs <= JWT_SVID_TTL_MS_MAX)) {
    throw new RangeError(`ttlMs ${ttlMs} must be above 0 and at most ${JWT_SVID_TTL_MS_MAX}`);
  }
  const issued = Math.floor(nowMs / 1000);
  const header = { alg: 'ES256', kid: by.keyId, typ: 'JWT' };
  const claims = {
    sub: id,
    aud: audience,
    iat: issued,
    exp: Math.floor((nowMs + ttlMs) / 1000),
  };
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(signed), {
    key: by.key,
    dsaEncoding: 'ieee-p1363',
  });
  return `${signed}.${signature.toString('base64url')}`;
}

export type JwtVerdict =
  | {
      readonly kind: 'accepted';
      readonly id: SpiffeId;
      readonly claims: Readonly<Record<string, unknown>>;
      readonly expiresMs: number;
    }
  | { readonly kind: 'refused'; readonly message: string };

export function verifyJwtSvid(
  token: string,
  audience: string,
  bundles: BundleSource,
  nowMs: number,
): JwtVerdict {
  if (token.length > JWT_SVID_CHARS_MAX) {
    return refused(`token is ${token.length} characters long; at most ${JWT_SVID_CHARS_MAX}`);
  }
  const parts = token.split('.');
  const [head = '', body = '', mac = ''] = parts;
  if (parts.length !== 3 || !parts.every(part => BASE64URL.test(part))) {
    return refused('token is not three parts of base64url');
  }
  const header = objectIn(head);
  const claims = objectIn(body);
  if (header === undefined || claims === undefined) return refused('token is not made of JSON');
  const algorithm = ALGORITHMS.get(String(header['alg']));
  if (algorithm === undefined) {
    return refused(`algorithm "${String(header['alg']).slice(0, 40)}" is not accepted`);
  }
  if (header['crit'] !== undefined) return refused('token has critical parameters nobody knows');
  const type = header['typ'];
  if (type !== undefined && type !== 'JWT' && type !== 'JOSE') {
    return refused('token is of another type than JWT');
  }
  const subject = parseSpiffeId(String(claims['sub']));
  if (subject.kind === 'invalid') return refused(`subject is no SPIFFE ID: ${subject.reason}`);
  if (subject.path === '') return refused('subject names a trust domain, not a workload');
  const { id, trustDomain } = subject;
  const bundle = bundles.get(trustDomain);
  if (bundle === undefined) return refused(`no bundle for trust domain "${trustDomain}"`);
  const authority = bundle.jwtAuthorities.find(({ keyId }) => keyId === header['kid']);
  if (authority === undefined) {
    return refused(`trust domain "${trustDomain}" has no key of this ID`);
  }
  const key = readKey(authority.spki);
  if (key === undefined || !algorithm.suits(key)) {
    return refused('algorithm does not suit the key of this ID');
  }
  const signature = Buffer.from(mac, 'base64url');
  if (!verify(algorithm.hash, Buffer.from(`${head}.${body}`), algorithm.how(key), signature)) {
    return refused('signature is not of this token');
  }
  const problem = timeProblem(claims, nowMs) ?? audienceProblem(claims['aud'], audience);
  if (problem !== undefined) return refused(problem);
  if (bundle.revoked.includes(id)) return refused(`"${id}" is revoked by its trust domain`);
  return { kind: 'accepted', id, claims, expiresMs: Number(claims['exp']) * 1000 };
}

interface Algorithm {
  readonly hash: string;
  readonly suits: (key: KeyObject) => boolean;
  readonly how: (key: KeyObject) => Parameters<typeof verify>[2];
}

/** JWT-SVID §2.1. `none` and the symmetric ones are not among them. */
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['ES256', ecdsa('sha256', 'prime256v1')],
  ['ES384', ecdsa('sha384', 'secp384r1')],
  ['ES512', ecdsa('sha512', 'secp521r1')],
  ['RS256', rsa('sha256', false)],
  ['RS384', rsa('sha384', false)],
  ['RS512', rsa('sha512', false)],
  ['PS256', rsa('sha256', true)],
  ['PS384', rsa('sha384', true)],
  ['PS512', rsa('sha512', true)],
]);

function ecdsa(hash: string, curve: string): Algorithm {
  return {
    hash,
    suits: key => key.asymmetricKeyDetails?.namedCurve === curve,
    how: key => ({ key, dsaEncoding: 'ieee-p1363' }),
  };
}

function rsa(hash: string, pss: boolean): Algorithm {
  return {
    hash,
    suits: key =>
      key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048,
    how: key =>
      pss
        ? {
            key,
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
          }
        : { key, padding: constants.RSA_PKCS1_PADDING },
  };
}

function timeProblem(claims: Readonly<Record<string, unknown>>, nowMs: number): string | undefined {
  const seconds = nowMs / 1000;
  const { exp, nbf, iat } = claims;
  if (typeof exp !== 'number') return 'token has no expiry';
  if (seconds >= exp)
    return `token expired at ${clock(exp)}; the clock here says ${clock(seconds)}`;
  for (const start of [nbf, iat]) {
    if (start === undefined) continue;
    if (typeof start !== 'number' || start > seconds + CLOCK_SKEW_SECONDS) {
      return 'token is not valid yet';
    }
  }
  return undefined;
}

function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString();
}

function audienceProblem(claimed: unknown, audience: string): string | undefined {
  const audiences: readonly unknown[] = Array.isArray(claimed) ? claimed : [claimed];
  if (audience !== '' && audiences.includes(audience)) return undefined;
  return `token is not for the audience ${JSON.stringify(audience.slice(0, 200))}`;
}

function objectIn(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(UTF8.decode(Buffer.from(part, 'base64url')));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function readKey(spki: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function refused(message: string): JwtVerdict {
  return { kind: 'refused', message };
}

const BASE64URL = /^[A-Za-z0-9_-]+$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
