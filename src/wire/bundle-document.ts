/**
 * SPIFFE bundle documents: a trust domain's roots as a JWK Set (SPIFFE Trust Domain and Bundle §4,
 * X509-SVID §6), the form in which clusters exchange them and SPIRE and others read them.
 *
 * Whose bundle it is is not in the document: the reader knows whom it asked. Entries of unknown use or
 * key type are ignored; a document that is wrong in what it says about X.509 is refused whole, so that
 * the last good one stays.
 */

import { X509Certificate } from 'node:crypto';
import { MeshError, messageOf } from '../mesh/errors.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';

export const BUNDLE_BYTES_MAX = 1_048_576;
/** Every root costs each handshake a parse; a rotation needs two or three. */
export const BUNDLE_AUTHORITIES_MAX = 32;
/** SPIFFE Trust Domain and Bundle §4.1.2: what a reader assumes without a hint. */
const REFRESH_HINT_SECONDS_DEFAULT = 300;

/** JSON, UTF-8. */
export function formatBundleDocument(bundle: TrustBundle): Uint8Array {
  const document = {
    keys: bundle.x509Authorities.map(der => ({
      use: 'x509-svid',
      ...jwkOf(der),
      x5c: [Buffer.from(der).toString('base64')],
    })),
    spiffe_sequence: bundle.sequence,
    spiffe_refresh_hint: bundle.refreshHintSeconds,
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
    const keys = document['keys'];
    if (!Array.isArray(keys)) throw new SyntaxError('keys must be an array');
    return {
      trustDomain: expectedTrustDomain,
      sequence: integerOf(document, 'spiffe_sequence') ?? 0,
      refreshHintSeconds:
        integerOf(document, 'spiffe_refresh_hint') ?? REFRESH_HINT_SECONDS_DEFAULT,
      x509Authorities: x509AuthoritiesOf(keys, expectedTrustDomain),
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

function x509AuthoritiesOf(
  keys: readonly unknown[],
  trustDomain: TrustDomain,
): readonly Uint8Array[] {
  const authorities = keys.flatMap((entry, index) => {
    const key = objectOf(entry, `keys[${index}]`);
    if (key['use'] !== 'x509-svid' || !KEY_TYPES.has(key['kty'])) return [];
    return [certificateOf(key['x5c'], trustDomain, `keys[${index}].x5c`)];
  });
  if (authorities.length <= BUNDLE_AUTHORITIES_MAX) return authorities;
  throw new SyntaxError(
    `${authorities.length} X.509 authorities, at most ${BUNDLE_AUTHORITIES_MAX} are read`,
  );
}

const KEY_TYPES: ReadonlySet<unknown> = new Set(['EC', 'RSA', 'OKP']);

/** X509-SVID §6.2: exactly one certificate, which is the root itself. */
function certificateOf(x5c: unknown, trustDomain: TrustDomain, where: string): Uint8Array {
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string') {
    throw new SyntaxError(`${where} must hold exactly one certificate`);
  }
  const der = Buffer.from(x5c[0], 'base64');
  if (der.toString('base64') !== x5c[0]) throw new SyntaxError(`${where} is not base64`);
  const { ca, subjectAltName } = new X509Certificate(der);
  if (!ca) throw new SyntaxError(`${where} is not a CA certificate`);
  // A guard against mixed-up documents only: who may sign for whom is never read from a text form.
  const names = subjectAltName?.split(', ').filter(name => name.startsWith('URI:spiffe://')) ?? [];
  if (names.some(name => name !== `URI:spiffe://${trustDomain}`)) {
    throw new SyntaxError(`${where} is the root of another trust domain, "${names.join(', ')}"`);
  }
  return der;
}

function jwkOf(der: Uint8Array): object {
  return new X509Certificate(der).publicKey.export({ format: 'jwk' });
}

function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new SyntaxError(`${where} must be an object`);
}

function integerOf(document: Readonly<Record<string, unknown>>, field: string): number | undefined {
  const value = document[field];
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new SyntaxError(`${field} must be a whole number from 0 up`);
}
