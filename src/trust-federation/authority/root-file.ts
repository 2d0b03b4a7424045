/**
 * A trust domain's roots as a file an operator hands over: how a process knows whom to trust before it
 * has spoken to anyone (`trust-root.pem`, `clusterset-root.pem`).
 */

import { MeshError, messageOf } from '../../mesh/errors.ts';
import { parseSpiffeId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import { type ParsedCertificate, parseCertificate } from '../x509/parsed-certificate.ts';
import { certificatesPem, parseCertificatesFile } from '../x509/pem.ts';

/** In the state directory of an agent, and of each of its proxies. */
export const TRUST_ROOT_FILE = 'trust-root.pem';

/** SPIFFE's advice where a bundle gives no hint: five minutes. */
const REFRESH_HINT_SECONDS = 300;

export async function saveRoots(path: string, bundle: TrustBundle): Promise<void> {
  await writePrivateFile(path, certificatesPem(bundle.x509Authorities));
}

/** `trustDomain`: as for `bundleOf`. Throws FILE_UNREADABLE (also when missing), FILE_PERMISSIONS, CERTIFICATE_INVALID. */
export async function loadRoots(path: string, trustDomain?: TrustDomain): Promise<TrustBundle> {
  const content = await readPrivateFile(path);
  if (content === undefined) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${path}" does not exist; "isthmus enrol" writes it into a proxy's state directory`,
    );
  }
  try {
    return bundleOf(parseCertificatesFile(path, content).map(parseCertificate), trustDomain);
  } catch (cause) {
    throw new MeshError('CERTIFICATE_INVALID', `"${path}": ${messageOf(cause)}`, { cause });
  }
}

/**
 * The bundle that these roots are, in the trust domain that their own URI names say; `expected` is that of
 * roots that name none (a company's CA). Its sequence is the
 * youngest root's birth in seconds: it grows with every new root, also when an authority is made anew.
 */
export function bundleOf(roots: readonly ParsedCertificate[], expected?: TrustDomain): TrustBundle {
  const trustDomains = new Set(roots.map(root => trustDomainOfRoot(root, expected)));
  const [trustDomain] = trustDomains;
  if (trustDomain === undefined || trustDomains.size > 1) {
    throw new MeshError('CERTIFICATE_INVALID', 'roots must be of one trust domain');
  }
  return {
    trustDomain,
    sequence: Math.floor(Math.max(...roots.map(root => root.notBeforeMs)) / 1000),
    refreshHintSeconds: REFRESH_HINT_SECONDS,
    x509Authorities: roots.map(root => root.der),
    jwtAuthorities: [],
    revoked: [],
  };
}

/** X509-SVID §2: a signing certificate's SPIFFE ID, if it has one, is its trust domain's, without a path. */
function trustDomainOfRoot(root: ParsedCertificate, expected?: TrustDomain): TrustDomain {
  const [uri, ...others] = root.uris;
  if (root.isCa && uri === undefined && expected !== undefined) return expected;
  const parsed = parseSpiffeId(uri ?? '');
  if (root.isCa && others.length === 0 && parsed.kind === 'ok' && parsed.path === '') {
    return parsed.trustDomain;
  }
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `certificate "${root.x509.serialNumber}" is not a root that names its trust domain`,
  );
}
