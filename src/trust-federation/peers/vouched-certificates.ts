/**
 * Certificates on whose way to a root all was well, as they were parsed, by their bytes.
 *
 * Peers come back with the certificates they had: after an idle time, a drain, a gateway's restart, often
 * many at once. Reading a certificate and checking its signature are two thirds of what judging it costs,
 * and depend on its bytes and its issuer's alone. Whatever time, bundles and revocation have a say in is
 * asked each time. What strangers present is never kept, so they cannot push out what peers did.
 */

import { createHash } from 'node:crypto';
import { VOUCHED_CERTIFICATES_MAX } from '../limits.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';

/** Oldest use first. */
const vouched = new Map<string, ParsedCertificate>();
const issuers = new WeakMap<ParsedCertificate, ParsedCertificate>();

/** Throws CERTIFICATE_INVALID. */
export function readCertificate(der: Uint8Array): ParsedCertificate {
  return vouched.get(keyOf(der)) ?? parseCertificate(der);
}

/** Names, key identifiers and key usage match, and the signature is the issuer's. */
export function isIssuedBy(subject: ParsedCertificate, issuer: ParsedCertificate): boolean {
  return (
    issuers.get(subject) === issuer ||
    (subject.x509.checkIssued(issuer.x509) && subject.x509.verify(issuer.publicKey))
  );
}

/** Leaf first, each issued by the next; the last is a root. */
export function keepVouched(path: readonly ParsedCertificate[]): void {
  for (const [i, certificate] of path.entries()) {
    const key = keyOf(certificate.der);
    vouched.delete(key);
    vouched.set(key, certificate);
    const issuer = path[i + 1];
    if (issuer !== undefined) issuers.set(certificate, issuer);
  }
  for (const oldest of vouched.keys()) {
    if (vouched.size <= VOUCHED_CERTIFICATES_MAX) return;
    vouched.delete(oldest);
  }
}

function keyOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64');
}
