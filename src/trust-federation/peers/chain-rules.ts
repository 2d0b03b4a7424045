/**
 * What a certificate must look like to play its part in a chain: pure rules over parsed facts.
 *
 * Leaf rules are X509-SVID §4 and §5.2, CA rules RFC 5280 §4.2 and §6.1. Signatures and trust are not
 * looked at here; verify.ts walks the chain and asks these questions of each certificate on it.
 */

import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import { OID } from '../x509/oids.ts';
import type { ParsedCertificate } from '../x509/parsed-certificate.ts';

/** Closed and short: a metric label. */
export const REFUSAL_REASONS = [
  'chain-empty',
  'chain-too-long',
  'certificate-malformed',
  'weak-algorithm',
  'critical-extension',
  'not-yet-valid',
  'expired',
  'id-missing',
  'id-ambiguous',
  'id-invalid',
  'leaf-is-ca',
  'key-usage',
  'extended-key-usage',
  'trust-domain-unknown',
  'bundle-empty',
  'untrusted',
  'issuer-not-ca',
  'path-length',
  'name-constraints',
  'revoked',
  'not-authorized',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly message: string;
  /** What the leaf claims, where it could be read; proven only when the reason is 'revoked' or 'not-authorized'. */
  readonly id?: SpiffeId;
}

export function refused(reason: RefusalReason, message: string): Refusal {
  return { kind: 'refused', reason, message };
}

export type LeafIdentity =
  | { readonly kind: 'ok'; readonly id: SpiffeId; readonly trustDomain: TrustDomain }
  | Refusal;

/** Exactly one URI name, a SPIFFE ID with a path. Other kinds of names may stand beside it. */
export function leafIdentity(leaf: ParsedCertificate): LeafIdentity {
  const [uri, ...others] = leaf.uris;
  if (uri === undefined) return refused('id-missing', 'leaf certificate has no URI name');
  if (others.length > 0) {
    return refused('id-ambiguous', `leaf certificate has ${others.length + 1} URI names, not one`);
  }
  const parsed = parseSpiffeId(uri);
  if (parsed.kind === 'invalid') {
    return refused('id-invalid', `URI name ${shown(uri)} is no SPIFFE ID: ${parsed.reason}`);
  }
  if (parsed.path === '') {
    return refused('id-invalid', `SPIFFE ID "${parsed.id}" names a trust domain, not a workload`);
  }
  return { kind: 'ok', id: parsed.id, trustDomain: parsed.trustDomain };
}

/** X509-SVID §4.1, §4.3, §4.4: a leaf signs handshakes and nothing else. */
export function leafProblem(leaf: ParsedCertificate): Refusal | undefined {
  if (leaf.isCa) return refused('leaf-is-ca', 'leaf certificate is a CA');
  if (leaf.keyUsage?.digitalSignature !== true) {
    return refused('key-usage', 'leaf certificate lacks the key usage digitalSignature');
  }
  if (leaf.keyUsage.keyCertSign || leaf.keyUsage.crlSign) {
    return refused('key-usage', 'leaf certificate may sign certificates or CRLs');
  }
  return commonProblem(leaf, 'leaf certificate');
}

/** `intermediatesBelow`: how many CA certificates stand between this one and the leaf. */
export function caProblem(ca: ParsedCertificate, intermediatesBelow: number): Refusal | undefined {
  const which = `issuer "${subjectOf(ca)}"`;
  if (!ca.isCa) return refused('issuer-not-ca', `${which} is not a CA`);
  if (ca.keyUsage?.keyCertSign !== true) {
    return refused('key-usage', `${which} lacks the key usage keyCertSign`);
  }
  if (ca.pathLength !== undefined && intermediatesBelow > ca.pathLength) {
    return refused(
      'path-length',
      `${which} allows ${ca.pathLength} intermediates below it, found ${intermediatesBelow}`,
    );
  }
  return commonProblem(ca, which);
}

export function validityProblem(
  certificate: ParsedCertificate,
  which: string,
  nowMs: number,
): Refusal | undefined {
  const { notBeforeMs, notAfterMs } = certificate;
  const clock = `the clock here says ${new Date(nowMs).toISOString()}`;
  if (nowMs < notBeforeMs) {
    const from = new Date(notBeforeMs).toISOString();
    const behind = `${inWords(notBeforeMs - nowMs)} earlier: it is at least that far behind the clock of the issuer`;
    return refused('not-yet-valid', `${which} is valid from ${from}; ${clock}, ${behind}`);
  }
  if (nowMs > notAfterMs) {
    const to = new Date(notAfterMs).toISOString();
    const since = `${inWords(nowMs - notAfterMs)} later: its holder stopped renewing it, or one of the two clocks is wrong`;
    return refused('expired', `${which} expired at ${to}; ${clock}, ${since}`);
  }
  return undefined;
}

/**
 * Each CA's constraints hold for every certificate under it; `path` is leaf first. RFC 5280 §4.2.1.10:
 * a URI constraint is a host, or with a leading dot any host below it. Constraints of other name forms
 * are refused rather than skipped.
 */
export function nameConstraintsProblem(path: readonly ParsedCertificate[]): Refusal | undefined {
  for (const [depth, ca] of path.entries()) {
    const constraints = ca.nameConstraints;
    if (constraints === undefined || depth === 0) continue;
    const which = `issuer "${subjectOf(ca)}"`;
    if (constraints.otherForms) {
      return refused('name-constraints', `${which} constrains names other than URIs`);
    }
    const { permittedUris, excludedUris } = constraints;
    for (const uri of path.slice(0, depth).flatMap(below => below.uris)) {
      const parsed = parseSpiffeId(uri);
      const host = parsed.kind === 'ok' ? parsed.trustDomain : undefined;
      const within = (base: string): boolean => host !== undefined && inSubtree(host, base);
      const permitted = permittedUris.length === 0 || permittedUris.some(within);
      if (host === undefined || !permitted || excludedUris.some(within)) {
        return refused('name-constraints', `${which} may not vouch for ${shown(uri)}`);
      }
    }
  }
  return undefined;
}

/**
 * A CA vouches for the trust domain it names and for no other, also where another's root has cross-signed
 * it. A root that names none may be the root of several, or of much that is no SPIFFE at all: a CA under it
 * has to name the trust domain or be constrained to it.
 */
export function foreignCaProblem(
  path: readonly ParsedCertificate[],
  trustDomain: TrustDomain,
): Refusal | undefined {
  const rootNames = path.at(-1)?.uris.some(isSpiffe) === true;
  for (const ca of path.slice(1)) {
    const named = ca.uris.filter(isSpiffe);
    if (named.some(uri => uri !== `spiffe://${trustDomain}`)) {
      return refused(
        'name-constraints',
        `issuer "${subjectOf(ca)}" is ${shown(named.join(' '))} and may not vouch for "${trustDomain}"`,
      );
    }
    const permitted = ca.nameConstraints?.permittedUris ?? [];
    const isOwn = named.length > 0 || (permitted.length === 1 && permitted[0] === trustDomain);
    if (rootNames || isOwn || ca === path.at(-1)) continue;
    return refused(
      'name-constraints',
      `issuer "${subjectOf(ca)}" under a shared root is not named for or constrained to "${trustDomain}"`,
    );
  }
  return undefined;
}

function isSpiffe(uri: string): boolean {
  return uri.startsWith('spiffe://');
}

export function subjectOf(certificate: ParsedCertificate): string {
  // Undefined where the subject is empty, as in every SVID, whatever the typings say.
  const subject = certificate.x509.subject as string | undefined;
  return (subject ?? '').replaceAll('\n', ', ').slice(0, 200);
}

function inWords(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** What holds for every certificate of a chain. */
function commonProblem(certificate: ParsedCertificate, which: string): Refusal | undefined {
  const unknown = certificate.unknownCritical[0];
  if (unknown !== undefined) {
    return refused('critical-extension', `${which} has the unknown critical extension ${unknown}`);
  }
  const purposes = certificate.extendedKeyUsage;
  if (
    purposes !== undefined &&
    !(purposes.includes(OID.serverAuth) && purposes.includes(OID.clientAuth))
  ) {
    return refused('extended-key-usage', `${which} is not for both serverAuth and clientAuth`);
  }
  if (!SIGNATURE_ALGORITHMS.has(certificate.signatureAlgorithm)) {
    const found = certificate.signatureAlgorithm;
    return refused('weak-algorithm', `${which} is signed with algorithm ${found}`);
  }
  if (!isStrongKey(certificate)) {
    return refused('weak-algorithm', `${which} has a key that is weak, huge or of an unknown kind`);
  }
  return undefined;
}

const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
  OID.ecdsaWithSha256,
  OID.ecdsaWithSha384,
  OID.ecdsaWithSha512,
  OID.rsaWithSha256,
  OID.rsaWithSha384,
  OID.rsaWithSha512,
  OID.ed25519,
]);

const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** The upper bound on RSA keeps one handshake from costing as much as hundreds. */
function isStrongKey({ publicKey }: ParsedCertificate): boolean {
  const details = publicKey.asymmetricKeyDetails;
  switch (publicKey.asymmetricKeyType) {
    case 'ec':
      return CURVES.has(details?.namedCurve ?? '');
    case 'rsa':
      return (details?.modulusLength ?? 0) >= 2048 && (details?.modulusLength ?? 0) <= 4096;
    case 'ed25519':
      return true;
    default:
      return false;
  }
}

function inSubtree(host: string, base: string): boolean {
  const canonical = base.toLowerCase();
  return canonical.startsWith('.')
    ? host.endsWith(canonical) && host.length > canonical.length
    : host === canonical;
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
