/**
 * A cluster's own certificate authority: its root rests in the agent's state directory, its
 * intermediate lives in this process.
 *
 * Workload SVIDs come from the intermediate, which may sign for this trust domain alone. Its key never
 * touches a disk: each start makes one, and again at half its life. Leaves carry it in their chain, so
 * those of an earlier one stay good.
 */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { MeshError } from '../mesh/errors.ts';
import type { ClusterName } from '../mesh/names.ts';
import { type SpiffeId, type TrustDomain, trustDomainOf } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import { AUTHORITY_FILE, createRoot, loadRoot } from './authority-file.ts';
import {
  type AuthoritySubject,
  issueIntermediate,
  issueLeaf,
  type Signer,
  signerOf,
} from './certificate.ts';
import { bundleOf } from './root-file.ts';
import type { StatementSigner } from './statement-signature.ts';
import { generateSvidKey } from './svid.ts';

export const WORKLOAD_TTL_MS_MAX = 24 * 3_600_000;
export const WORKLOAD_TTL_MS_DEFAULT = 3_600_000;

export interface ClusterAuthority {
  readonly trustDomain: TrustDomain;
  /** Throws CSR_REFUSED for an ID of another trust domain. The caller has attested the ID. */
  issue(request: WorkloadRequest): { readonly chain: readonly Buffer[] };
  bundle(): TrustBundle;
  /** Every root key at hand, for signing what this cluster says about its trust. */
  statementSigners(): readonly StatementSigner[];
}

export interface WorkloadRequest {
  readonly publicKey: KeyObject;
  readonly id: SpiffeId;
  /** At most WORKLOAD_TTL_MS_MAX. */
  readonly ttlMs: number;
}

export interface ClusterAuthorityOptions {
  readonly dir: string;
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly now: () => number;
}

/** Makes the root on first start. Throws what `loadRoot` throws, also for another trust domain's root. */
export async function openClusterAuthority(
  options: ClusterAuthorityOptions,
): Promise<ClusterAuthority> {
  const { dir, trustDomain, now } = options;
  const subject = { name: options.cluster, trustDomain };
  const root = (await loadRoot(dir)) ?? (await createRoot(dir, subject, now()));
  const bundle = bundleOf([root.certificate]);
  if (bundle.trustDomain !== trustDomain) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${join(dir, AUTHORITY_FILE)}" is the root of trust domain "${bundle.trustDomain}", not of "${trustDomain}"; correct trustDomain in the configuration, or move the file away to make a new root`,
    );
  }
  let intermediate = createIntermediate(subject, root, now());
  return {
    trustDomain,
    bundle: () => bundle,
    statementSigners: () => [{ key: root.key, chain: [root.certificate.der] }],
    issue: ({ publicKey, id, ttlMs }) => {
      if (trustDomainOf(id) !== trustDomain) {
        throw new MeshError(
          'CSR_REFUSED',
          `"${id}" is not in trust domain "${trustDomain}", the only one this authority signs for`,
        );
      }
      if (!(ttlMs > 0 && ttlMs <= WORKLOAD_TTL_MS_MAX)) {
        throw new RangeError(`ttlMs ${ttlMs} must be above 0 and at most ${WORKLOAD_TTL_MS_MAX}`);
      }
      if (now() > halfLifeOf(intermediate)) {
        intermediate = createIntermediate(subject, root, now());
      }
      const leaf = issueLeaf({ publicKey, id, ttlMs }, intermediate, now());
      return { chain: [leaf, intermediate.certificate.der] };
    },
  };
}

function createIntermediate(subject: AuthoritySubject, root: Signer, nowMs: number): Signer {
  const key = generateSvidKey();
  return signerOf(issueIntermediate(subject, createPublicKey(key), root, nowMs), key);
}

function halfLifeOf({ certificate }: Signer): number {
  return (certificate.notBeforeMs + certificate.notAfterMs) / 2;
}
