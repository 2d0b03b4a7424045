/**
 * The ClusterSet's issuer: an intermediate of its authority, kept by the registry process that admits
 * clusters, while the root's key stays offline (docs/decisions/0035).
 *
 * It signs memberships and the registry's own certificate, for keys made elsewhere, and cannot make
 * another authority (path length 0) or an identity outside the ClusterSet's trust domain.
 */

import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberId, registryId, type SpiffeId } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { ensurePrivateDir, readPrivateFile, writePrivateFile } from '../../runtime/state-file.ts';
import type { StatementSigner } from '../bundles/statement-signature.ts';
import { BACKDATE_MS, issueLeaf, type Signer, signerOf } from '../x509/certificate.ts';
import { parseCertificate } from '../x509/parsed-certificate.ts';
import { formatKeyFile, parseKeyFile } from '../x509/pem.ts';
import { makeIntermediate } from './make-signer.ts';

/** Memberships are renewed at half of it where a registry issues, else by running `isthmus init` again. */
export const MEMBER_TTL_MS = 365 * 86_400_000;

/** In `<stateDir>/authority` of a registry that issues memberships. */
export const ISSUER_FILE = 'issuer.pem';

export interface MembershipIssuer {
  /** When what it signs can no longer be valid. */
  readonly notAfterMs: number;
  /** `endedMs`: an earlier membership of this cluster ended then; the new one begins later. */
  issueMember(cluster: ClusterName, publicKey: KeyObject, endedMs?: number): readonly Buffer[];
  issueRegistry(publicKey: KeyObject): readonly Buffer[];
  /** For statements in the ClusterSet's name, such as a cluster's revocation. */
  readonly statementSigner: StatementSigner;
}

/** Made by `isthmus init`, next to the root's key, and carried from there. */
export async function writeMembershipIssuer(
  dir: string,
  root: Signer,
  clusterSet: TrustBundle,
  nowMs: number,
): Promise<void> {
  await ensurePrivateDir(dir);
  const subject = { name: 'clusterset', trustDomain: clusterSet.trustDomain };
  const { key, certificate } = makeIntermediate(subject, root, nowMs);
  await writePrivateFile(join(dir, ISSUER_FILE), formatKeyFile(key, [certificate.der]));
}

/** Undefined when this process has none. Throws FILE_PERMISSIONS, FILE_UNREADABLE, CERTIFICATE_INVALID. */
export async function openMembershipIssuer(
  dir: string,
  clusterSet: TrustBundle,
  now: () => number,
): Promise<MembershipIssuer | undefined> {
  const path = join(dir, ISSUER_FILE);
  const content = await readPrivateFile(path);
  if (content === undefined) return undefined;
  await ensurePrivateDir(dir);
  const { key, certificates } = parseKeyFile(path, content);
  const [certificate] = certificates;
  if (certificate === undefined || !isIssuedByRoot(certificate, clusterSet)) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${path}" is not an issuer of ClusterSet "${clusterSet.trustDomain}"; run "isthmus init" again and copy what it makes`,
    );
  }
  return issuerOf(signerOf(certificate, key), clusterSet, now);
}

function issuerOf(
  signer: Signer,
  { trustDomain }: TrustBundle,
  now: () => number,
): MembershipIssuer {
  const issue = (id: SpiffeId, publicKey: KeyObject, atMs: number): readonly Buffer[] => [
    issueLeaf({ id, publicKey, ttlMs: MEMBER_TTL_MS }, signer, atMs),
    signer.certificate.der,
  ];
  return {
    notAfterMs: signer.certificate.notAfterMs,
    statementSigner: { key: signer.key, chain: [signer.certificate.der] },
    issueMember: (cluster, publicKey, endedMs = -Infinity) => {
      // Certificates count whole seconds, and are backdated for clocks that lag.
      const beginMs = Math.max(now() - BACKDATE_MS, endedMs + 1_000);
      return issue(memberId(trustDomain, cluster), publicKey, beginMs + BACKDATE_MS);
    },
    issueRegistry: publicKey => issue(registryId(trustDomain), publicKey, now()),
  };
}

function isIssuedByRoot(der: Uint8Array, clusterSet: TrustBundle): boolean {
  const { x509, isCa } = parseCertificate(der);
  return (
    isCa &&
    clusterSet.x509Authorities.some(root => {
      const issuer = parseCertificate(root);
      return x509.checkIssued(issuer.x509) && x509.verify(issuer.publicKey);
    })
  );
}
