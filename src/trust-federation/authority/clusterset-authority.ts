/**
 * The ClusterSet's own authority: it vouches for the registry and for the member clusters towards it,
 * and for nothing inside a cluster.
 *
 * `isthmus init` makes it, once, where the operator works; no running process needs its key. What it
 * hands out are directories to be carried to where they are used: credentials of a member or the registry
 * (`identity.pem`, `clusterset-root.pem`), and the issuer of the registry that admits clusters.
 */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberId, registryId, type SpiffeId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import {
  generateSvidKey,
  IDENTITY_FILE,
  loadSvid,
  parseSvid,
  type Svid,
  saveSvid,
} from '../identity/svid.ts';
import { issueLeaf, type Signer } from '../x509/certificate.ts';
import { createRoot, loadRoot } from './authority-file.ts';
import { MEMBER_TTL_MS, writeMembershipIssuer } from './membership-issuer.ts';
import { bundleOf, loadRoots, saveRoots } from './root-file.ts';

/** Beside `identity.pem` in a directory of credentials. */
export const CLUSTERSET_ROOT_FILE = 'clusterset-root.pem';

export interface ClusterSetAuthority {
  readonly trustDomain: TrustDomain;
  readonly bundle: TrustBundle;
  issueMember(cluster: ClusterName, publicKey: KeyObject): { readonly chain: readonly Buffer[] };
  issueRegistry(publicKey: KeyObject): { readonly chain: readonly Buffer[] };
}

export interface ClusterSetInit {
  readonly dir: string;
  readonly trustDomain: TrustDomain;
  readonly clusters: readonly ClusterName[];
  readonly now: () => number;
}

/**
 * Makes, in `dir`: `authority/` unless it is there, `registry/{identity,authority}/`, and for each cluster
 * `clusters/<name>/membership/`. Run again it adds clusters and renews credentials.
 */
export async function initClusterSet(init: ClusterSetInit): Promise<ClusterSetAuthority> {
  const { trustDomain, now } = init;
  const dir = join(init.dir, 'authority');
  const root =
    (await loadRoot(dir)) ?? (await createRoot(dir, { name: 'clusterset', trustDomain }, now()));
  const authority = authorityOf(root, now);
  if (authority.trustDomain !== trustDomain) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${dir}" is the authority of ClusterSet "${authority.trustDomain}", not of "${trustDomain}"; choose another directory`,
    );
  }
  const registryDir = join(init.dir, 'registry');
  await writeRegistryCredentials(authority, join(registryDir, 'identity'));
  await writeMembershipIssuer(join(registryDir, 'authority'), root, authority.bundle, now());
  for (const cluster of init.clusters) {
    const target = join(init.dir, 'clusters', cluster, 'membership');
    await writeMemberCredentials(authority, cluster, target);
  }
  return authority;
}

/** Writes `<stateDir>/membership` of the cluster's agent; the key is made here. */
export async function writeMemberCredentials(
  authority: ClusterSetAuthority,
  cluster: ClusterName,
  targetDir: string,
): Promise<void> {
  await writeCredentials(authority, targetDir, key => authority.issueMember(cluster, key));
}

/** Writes `<stateDir>/identity` of the registry; the key is made here. */
export async function writeRegistryCredentials(
  authority: ClusterSetAuthority,
  targetDir: string,
): Promise<void> {
  await writeCredentials(authority, targetDir, key => authority.issueRegistry(key));
}

export interface ClusterSetCredentials {
  readonly svid: Svid;
  /** The ClusterSet's. */
  readonly roots: TrustBundle;
}

/** A member's or the registry's. Throws FILE_UNREADABLE, FILE_PERMISSIONS, CERTIFICATE_INVALID. */
export async function loadMemberCredentials(dir: string): Promise<ClusterSetCredentials> {
  const svid = await loadSvid(dir);
  if (svid === undefined) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${join(dir, IDENTITY_FILE)}" does not exist; make it with "isthmus join" (a cluster) or copy what "isthmus init" made (a registry)`,
    );
  }
  const roots = await loadRoots(join(dir, CLUSTERSET_ROOT_FILE));
  if (roots.trustDomain === svid.trustDomain) return { svid, roots };
  throw new MeshError(
    'CERTIFICATE_INVALID',
    `"${dir}" has an identity of "${svid.trustDomain}" beside roots of "${roots.trustDomain}"; copy both from one "isthmus init"`,
  );
}

function authorityOf(root: Signer, now: () => number): ClusterSetAuthority {
  const bundle = bundleOf([root.certificate]);
  const { trustDomain } = bundle;
  const issue = (id: SpiffeId, publicKey: KeyObject): { readonly chain: readonly Buffer[] } => ({
    chain: [issueLeaf({ id, publicKey, ttlMs: MEMBER_TTL_MS }, root, now())],
  });
  return {
    trustDomain,
    bundle,
    issueMember: (cluster, publicKey) => issue(memberId(trustDomain, cluster), publicKey),
    issueRegistry: publicKey => issue(registryId(trustDomain), publicKey),
  };
}

async function writeCredentials(
  authority: ClusterSetAuthority,
  dir: string,
  issue: (publicKey: KeyObject) => { readonly chain: readonly Buffer[] },
): Promise<void> {
  const key = generateSvidKey();
  await saveSvid(dir, parseSvid(issue(createPublicKey(key)).chain, key));
  await saveRoots(join(dir, CLUSTERSET_ROOT_FILE), authority.bundle);
}
