/**
 * Signatures under statements of trust: over exact bytes, each kind of statement in a domain of its own.
 *
 * The same keys sign certificates (DER, which begins with 0x30) and TLS handshakes (which begin with 64
 * spaces, RFC 8446 §4.4.3); what is signed here begins with the kind's name, so no signature of one sort can
 * pass for another. The algorithm follows from the verifier's key and is never read from a message.
 */

import { type KeyObject, sign, verify } from 'node:crypto';
import type { SignedStatement } from '../../mesh/signed-bundle.ts';

export type StatementKind = 'bundle' | 'cluster-revocation';

/** A key and what shows whose it is: its certificate first, then those towards a root. */
export interface StatementSigner {
  readonly key: KeyObject;
  readonly chain: readonly Uint8Array[];
}

export function signStatement(
  kind: StatementKind,
  statement: Uint8Array,
  signers: readonly StatementSigner[],
): SignedStatement {
  const message = messageOfStatement(kind, statement);
  return {
    statement,
    signatures: signers.map(({ key, chain }) => {
      const digest = digestFor(key);
      if (digest === undefined) throw new RangeError('a statement needs an EC or RSA key');
      return { chain, signature: sign(digest, message, key) };
    }),
  };
}

/** Never throws: keys and signatures may be anybody's. */
export function isSignedWith(
  kind: StatementKind,
  statement: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): boolean {
  const digest = digestFor(publicKey);
  if (digest === undefined) return false;
  return verify(digest, messageOfStatement(kind, statement), publicKey, signature);
}

function messageOfStatement(kind: StatementKind, statement: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`isthmus/v1/${kind}\0`, 'latin1'), statement]);
}

/** As for certificates (chain-rules.ts): weak keys prove nothing, huge ones cost the reader. */
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 4096;

/** ES256, ES384 or RS256 (RFC 7518 §3.1); undefined for any other key. */
function digestFor({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  if (asymmetricKeyType === 'rsa') {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? 'sha256' : undefined;
  }
  if (asymmetricKeyType !== 'ec') return undefined;
  switch (asymmetricKeyDetails?.namedCurve) {
    case 'prime256v1':
      return 'sha256';
    case 'secp384r1':
      return 'sha384';
    default:
      return undefined;
  }
}
