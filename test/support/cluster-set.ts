/** The ClusterSet of tests: its authority, and what a member signs and keeps. */

import { join } from 'node:path';
import { parseClusterName } from '../../src/mesh/names.ts';
import type { BundleOffer, SignedBundle } from '../../src/mesh/signed-bundle.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { CLUSTERSET_ROOT_FILE } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { saveRoots } from '../../src/trust-federation/authority/root-file.ts';
import { signEnvelope } from '../../src/trust-federation/bundles/bundle-envelope.ts';
import type { StatementSigner } from '../../src/trust-federation/bundles/statement-signature.ts';
import { type Svid, saveSvid } from '../../src/trust-federation/identity/svid.ts';
import { AUTHORITY_BACKDATE_MS } from '../../src/trust-federation/x509/certificate.ts';
import type { RegistryRecord } from '../../src/wire/registry-records.ts';
import { formatSigned } from '../../src/wire/signed-statement.ts';
import { type TestAuthority, testAuthority, testSvid } from '../trust-federation/pki.ts';

export const CLUSTER_SET = parseTrustDomain('clusterset.example');
export const CLUSTER_SET_AUTHORITY = testAuthority(CLUSTER_SET, Date.now());

export function memberSvid(cluster: string, authority = CLUSTER_SET_AUTHORITY): Svid {
  const madeMs = authority.root.certificate.notBeforeMs + AUTHORITY_BACKDATE_MS;
  return testSvid(authority, `cluster/${cluster}`, madeMs);
}

export function rootSigner({ root }: TestAuthority): StatementSigner {
  return { key: root.key, chain: [root.certificate.der] };
}

/** As the cluster itself would sign it: as a member, and with these roots. */
export function envelopeOf(
  cluster: string,
  bundle: TrustBundle,
  roots: readonly TestAuthority[],
  member: StatementSigner = memberSvid(cluster),
): SignedBundle {
  return signEnvelope({ clusterSet: CLUSTER_SET, cluster: parseClusterName(cluster), bundle }, [
    member,
    ...roots.map(rootSigner),
  ]);
}

export function bundleRecord({ current, predecessors }: BundleOffer): RegistryRecord {
  return {
    kind: 'bundle',
    bundle: { signed: formatSigned(current), predecessors: predecessors.map(formatSigned) },
  };
}

/** What `isthmus init` would have an operator copy there. */
export async function writeMembership(stateDir: string, cluster: string): Promise<void> {
  const dir = join(stateDir, 'membership');
  await saveSvid(dir, memberSvid(cluster));
  await saveRoots(join(dir, CLUSTERSET_ROOT_FILE), CLUSTER_SET_AUTHORITY.bundle);
}
