/**
 * SPIFFE bundle documents: a trust domain's roots as a JWK Set (SPIFFE Trust Domain and Bundle §4,
 * X509-SVID §6, JWT-SVID §6), the form in which clusters exchange them and SPIRE and others read them.
 *
 * Revoked identities stand beside the keys in a member of our own, which readers that do not know it pass
 * over (RFC 7517 §5). Whose bundle it is is not in the document: the reader knows whom it asked. Entries of
 * unknown use or key type are ignored; a document that is wrong in what it does say is refused whole, so
 * that the last good one stays.
 */

import { createPublicKey, type JsonWebKey, X509Certificate } from 'node:crypto';
import { MeshError, messageOf } from '../mesh/errors.ts';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../mesh/spiffe-id.ts';
import type { JwtAuthority, TrustBundle } from '../mesh/trust-bundle.ts';

export const BUNDLE_BYTES_MAX = 1_048_576;
/** Of each kind. Every root costs each handshake a parse; a rotation needs two or three. */
export const BUNDLE_AUTHORITIES_MAX = 32;
/** Revoked identities of one trust domain; each handshake looks through them. */
export const BUNDLE_REVOKED_MAX = 500;
const JWT_KEY_ID_BYTES_MAX = 128;
/** SPIFFE Trust Domain and Bundle §4.1.2: what a reader assumes without a hint. */
const REFRESH_HINT_SECONDS_DEFAULT = 300;

const REVOKED = 'isthmus_revoked';

/** JSON, UTF-8. */
export function formatBundleDocument(bundle: TrustBundle): Uint8Array {
  const document = {
    keys: [
      ...bundle.x509Authorities.map(der => ({
        use: 'x509-svid',
        ...new X509Certificate(der).publicKey.export({ format: 'jwk' }),
        x5c: [Buffer.from(der).toString('base64')],
      })),
      ...bundle.jwtAuthorities.map(({ keyId, spki }) => ({
        use: 'jwt-svid',
        kid: keyId,
        ...createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({
          format: 'jwk',
        }),
      })),
    ],
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: bundle.refreshHintSeconds,
    ...(bundle.revoked.length === 0 ? {} : { [REVOKED]: bundle.revoked }),
  };
  return Buffer.from(JSON.stringify(document));
}

/** Throws PROTOCOL_VIOLATION naming the field, LIMIT_EXCEEDED. */
export function parseBundleDocument(
  bytes: Uint8Array,
  expectedTrustDomain: TrustDomain,
): TrustBundle {
  if (bytes.length > BUNDLE_BYTES_MAX) {
    throw new MeshError(
      'LIMIT_EXCEEDED',
      `bundle of "${expectedTrustDomain}" is ${bytes.length} bytes long; at most ${BUNDLE_BYTES_MAX} are read`,
    );
  }
  try {
    const document = objectOf(JSON.parse(UTF8.decode(bytes)), 'document');
    const keys = arrayOf(document['keys'], 'keys').map((entry, index) => {
      const where = `keys[${index}]`;
      return { key: objectOf(entry, where), where };
    });
    const ofUse = (use: string): KeyEntry[] => {
      const entries = keys.filter(({ key }) => key['use'] === use && KEY_TYPES.has(key['kty']));
      atMost(BUNDLE_AUTHORITIES_MAX, entries, `authorities of use "${use}"`);
      return entries;
    };
    return {
      trustDomain: expectedTrustDomain,
      sequence: integerOf(document, 'spiffe_sequence') ?? 0,
      refreshHintSeconds:
        integerOf(document, 'spiffe_refresh_hint') ?? REFRESH_HINT_SECONDS_DEFAULT,
      x509Authorities: ofUse('x509-svid').map(entry => certificateOf(entry, expectedTrustDomain)),
      jwtAuthorities: jwtAuthoritiesOf(ofUse('jwt-svid')),
      revoked: revokedOf(document[REVOKED], expectedTrustDomain),
    };
  } catch (error) {
    throw new MeshError(
      'PROTOCOL_VIOLATION',
      `bundle of "${expectedTrustDomain}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const KEY_TYPES: ReadonlySet<unknown> = new Set(['EC', 'RSA', 'OKP']);

type JsonObject = Readonly<Record<string, unknown>>;

interface KeyEntry {
  readonly key: JsonObject;
  readonly where: string;
}

/** X509-SVID §6.2: exactly one certificate, which is the root itself. */
function certificateOf({ key, where }: KeyEntry, trustDomain: TrustDomain): Uint8Array {
  const x5c = key['x5c'];
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') {
    throw new SyntaxError(`${where}.x5c must hold exactly one certificate`);
  }
  const der = Buffer.from(x5c[0], 'base64');
  if (der.toString('base64') !== x5c[0]) throw new SyntaxError(`${where}.x5c is not base64`);
  const { ca, subjectAltName } = new X509Certificate(der);
  if (!ca) throw new SyntaxError(`${where}.x5c is not a CA certificate`);
  // A guard against mixed-up documents only: who may sign for whom is never read from a text form.
  const names = subjectAltName?.split(', ').filter(name => name.startsWith('URI:spiffe://')) ?? [];
  if (names.some(name => name !== `URI:spiffe://${trustDomain}`)) {
    throw new SyntaxError(
      `${where}.x5c is the root of another trust domain, "${names.join(', ')}"`,
    );
  }
  return der;
}

/** JWT-SVID §6.2: each key has an ID of its own. */
function jwtAuthoritiesOf(entries: readonly KeyEntry[]): readonly JwtAuthority[] {
  const authorities = new Map<string, JwtAuthority>();
  for (const { key, where } of entries) {
    const keyId = key['kid'];
    if (typeof keyId !== 'string' || keyId === '') throw new SyntaxError(`${where} has no kid`);
    if (Buffer.byteLength(keyId) > JWT_KEY_ID_BYTES_MAX) {
      throw new SyntaxError(`${where}.kid is longer than ${JWT_KEY_ID_BYTES_MAX} bytes`);
    }
    if (authorities.has(keyId)) throw new SyntaxError(`${where}.kid stands twice`);
    authorities.set(keyId, { keyId, spki: spkiOf({ key, where }) });
  }
  return [...authorities.values()];
}

/** Only the public part is read, should someone publish more. */
function spkiOf({ key, where }: KeyEntry): Uint8Array {
  const { kty, crv, x, y, n, e } = key;
  try {
    const jwk = { kty, crv, x, y, n, e } as JsonWebKey;
    return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw new SyntaxError(`${where} is no public key: ${messageOf(cause)}`, { cause });
  }
}

function revokedOf(value: unknown, trustDomain: TrustDomain): readonly SpiffeId[] {
  if (value === undefined) return [];
  const ids = arrayOf(value, REVOKED).map((entry, index) => {
    const parsed = parseSpiffeId(typeof entry === 'string' ? entry : '');
    if (parsed.kind === 'ok' && parsed.trustDomain === trustDomain && parsed.path !== '') {
      return parsed.id;
    }
    throw new SyntaxError(`${REVOKED}[${index}] is not an identity of this trust domain`);
  });
  atMost(BUNDLE_REVOKED_MAX, ids, 'revoked identities');
  return [...new Set(ids)].sort();
}

function atMost(max: number, items: readonly unknown[], what: string): void {
  if (items.length <= max) return;
  throw new SyntaxError(`${items.length} ${what}, at most ${max} are read`);
}

function arrayOf(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new SyntaxError(`${where} must be an array`);
}

function objectOf(value: unknown, where: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw new SyntaxError(`${where} must be an object`);
}

function integerOf(document: JsonObject, field: string): number | undefined {
  const value = document[field];
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new SyntaxError(`${field} must be a whole number from 0 up`);
}
