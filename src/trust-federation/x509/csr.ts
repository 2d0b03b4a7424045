/**
 * Certificate signing requests (PKCS#10, RFC 2986): a key's proof that its holder asks, and for whom.
 *
 * Strict: what an authority's own template could not express is refused instead of ignored (one URI
 * name, no other request), so a second reading of the same bytes finds nothing more in them. The
 * identity asked for is a claim; whoever issues compares it with the one it attested.
 */

import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { MeshError } from '../../mesh/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../../mesh/spiffe-id.ts';
import { CSR_BYTES_MAX } from '../limits.ts';
import {
  type Asn1,
  bitString,
  bitsOf,
  booleanOf,
  DerError,
  decode,
  encode,
  integer,
  isTagged,
  itemsOf,
  itemsOfSequence,
  octetString,
  octetsOf,
  oid,
  oidOf,
  sequence,
  setOf,
  smallIntegerOf,
  tagged,
  taggedOf,
} from './der.ts';
import { GENERAL_NAME_URI, OID } from './oids.ts';
import { urisOf } from './parsed-certificate.ts';

export interface CsrRequest {
  readonly publicKey: KeyObject;
  /** The same, DER. */
  readonly spki: Buffer;
  readonly id: SpiffeId;
}

/** DER. `key` is the private key, ECDSA P-256. */
export function createCsr(key: KeyObject, id: SpiffeId): Buffer {
  const names = sequence(tagged(GENERAL_NAME_URI, Buffer.from(id, 'latin1')));
  const extensions = sequence(sequence(oid(OID.subjectAltName), octetString(encode(names))));
  const info = sequence(
    integer(Buffer.of(0)),
    sequence(),
    decode(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    taggedOf(0, sequence(oid(OID.extensionRequest), setOf(extensions))),
  );
  const signature = sign('sha256', encode(info), key);
  return encode(sequence(info, sequence(oid(OID.ecdsaWithSha256)), bitString(signature)));
}

/** Throws CSR_REFUSED saying why. */
export function parseCsr(der: Uint8Array): CsrRequest {
  if (der.length > CSR_BYTES_MAX) {
    throw refusal(`is ${der.length} bytes long; at most ${CSR_BYTES_MAX} are read`);
  }
  try {
    return read(der);
  } catch (error) {
    if (error instanceof DerError) throw refusal(error.message, error);
    throw error;
  }
}

function read(der: Uint8Array): CsrRequest {
  const [info, algorithm, signature, ...rest] = itemsOfSequence(decode(der), 'request');
  const [version, , spki, attributes, ...more] = itemsOfSequence(info, 'request info');
  if (info === undefined || spki === undefined || rest.length + more.length > 0) {
    throw refusal('does not have the shape of a PKCS#10 request');
  }
  if (smallIntegerOf(version, 'version') !== 0) throw refusal('is not of version 1');
  if (oidOf(itemsOfSequence(algorithm, 'algorithm')[0], 'algorithm') !== OID.ecdsaWithSha256) {
    throw refusal('is not signed with ECDSA and SHA-256');
  }
  const spkiDer = encode(spki);
  const publicKey = readKey(spkiDer);
  if (!verify('sha256', encode(info), publicKey, bitsOf(signature, 'signature'))) {
    throw refusal('is not signed by the key it asks a certificate for');
  }
  return { publicKey, spki: spkiDer, id: readId(attributes) };
}

/**
 * One form of key is read, so its bytes are compared before OpenSSL sees them: that is stricter than
 * asking what kind of key came out, and spares OpenSSL's search for a decoder.
 */
function readKey(spki: Buffer): KeyObject {
  const point = spki.subarray(P256_PREFIX.length);
  if (!spki.subarray(0, P256_PREFIX.length).equals(P256_PREFIX) || point.length !== 64) {
    throw refusal('has a key that is not ECDSA P-256');
  }
  const x = point.subarray(0, 32).toString('base64url');
  const y = point.subarray(32).toString('base64url');
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch (cause) {
    throw refusal('has a public key that cannot be read', cause);
  }
}

/** SubjectPublicKeyInfo of an uncompressed point on P-256, up to its coordinates (RFC 5480 §2). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');

/** The single URI name in the single extension of the single attribute. */
function readId(attributes: Asn1 | undefined): SpiffeId {
  if (!isTagged(attributes, 0)) throw refusal('asks for no name');
  const attribute = only(itemsOf(attributes, 'attributes'), 'attribute');
  const [name, values] = itemsOfSequence(attribute, 'attribute');
  if (oidOf(name, 'attribute name') !== OID.extensionRequest) {
    throw refusal('has an attribute other than extensionRequest');
  }
  const extensions = itemsOfSequence(only(itemsOf(values, 'values'), 'value'), 'extensions');
  const [id, second, third] = itemsOfSequence(only(extensions, 'extension'), 'extension');
  if (oidOf(id, 'extension name') !== OID.subjectAltName) {
    throw refusal('requests an extension other than subjectAltName');
  }
  const value = octetsOf(booleanOf(second) === undefined ? second : third, 'extension value');
  const names = decode(value);
  only(itemsOfSequence(names, 'subjectAltName'), 'name');
  const [uri] = urisOf(names);
  if (uri === undefined) throw refusal('asks for a name that is not a URI');
  const parsed = parseSpiffeId(uri);
  if (parsed.kind === 'ok') return parsed.id;
  throw refusal(`asks for ${JSON.stringify(uri.slice(0, 200))}: ${parsed.reason}`);
}

function only(items: readonly Asn1[], what: string): Asn1 | undefined {
  if (items.length !== 1) throw refusal(`has ${items.length} of one ${what}`);
  return items[0];
}

function refusal(why: string, cause?: unknown): MeshError {
  return new MeshError('CSR_REFUSED', `certificate signing request ${why}`, { cause });
}
