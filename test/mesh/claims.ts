/**
 * Clusters as the registry claims them, with signatures that need no cryptography: a signature is the
 * signer's name, and counts when that name is the member's or stands among a version's roots.
 */

import type { BundleProofs } from '../../src/mesh/bundle-succession.ts';
import type { ClusterClaim } from '../../src/mesh/cluster.ts';
import type { ClusterRevocation } from '../../src/mesh/cluster-revocation.ts';
import { sameValue } from '../../src/mesh/collection.ts';
import type { Self } from '../../src/mesh/membership.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import type { SignedBundle } from '../../src/mesh/signed-bundle.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { config } from './mesh-nouns.ts';

const CLUSTER_SET = parseTrustDomain('clusterset.example');
export const EAST: Self = {
  name: parseClusterName('east'),
  trustDomain: parseTrustDomain('east.example'),
  clusterSet: CLUSTER_SET,
};

export function bundle(sequence: number, roots: readonly string[], name = 'west'): TrustBundle {
  return {
    trustDomain: parseTrustDomain(`${name}.example`),
    sequence,
    refreshHintSeconds: 300,
    x509Authorities: roots.map(root => Buffer.from(root)),
    jwtAuthorities: [],
    revoked: [],
  };
}

/** `signers`: names of roots, or `member`. */
export function signed(
  content: TrustBundle,
  signers: readonly string[],
  cluster = 'west',
  clusterSet = CLUSTER_SET,
): SignedBundle {
  const signatures = signers.map(signer => {
    const name = signer === 'member' ? `member ${cluster}` : signer;
    return { chain: [Buffer.from(name)], signature: new Uint8Array() };
  });
  const statement = Buffer.from(`${cluster} ${content.sequence}`);
  return { clusterSet, cluster: parseClusterName(cluster), bundle: content, statement, signatures };
}

export function offer(
  current: SignedBundle,
  predecessors: readonly SignedBundle[] = [],
): ClusterClaim['bundle'] {
  return { kind: 'offered', offer: { current, predecessors } };
}

/** An honest first version, unless told otherwise. */
export function claim(name: string, more: Partial<ClusterClaim> = {}): ClusterClaim {
  const current = signed(bundle(1, [`${name} 1`], name), ['member', `${name} 1`], name);
  return {
    config: config(name),
    bundle: offer(current),
    exports: [],
    freshness: { kind: 'live' },
    ...more,
  };
}

export const PROOFS: BundleProofs = {
  memberProblem: ({ cluster, signatures }) =>
    signatures.some(({ chain }) => sameValue(chain[0], Buffer.from(`member ${cluster}`)))
      ? undefined
      : 'it carries no signature of a member',
  signedByRootOf: ({ signatures }, version) =>
    signatures.some(({ chain }) => version.x509Authorities.some(root => sameValue(root, chain[0]))),
};

export function revocation(
  cluster: string,
  revoked: boolean,
  issuedAtMs: number,
): ClusterRevocation {
  const statement = { statement: new Uint8Array(), signatures: [] };
  return {
    cluster: parseClusterName(cluster),
    revoked,
    issuedAtMs,
    reason: 'a test',
    signed: statement,
  };
}
