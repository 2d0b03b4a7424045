/**
 * How a cluster's authority starts: from the journal in its directory, or with a root of its own where
 * there is none yet. What is there must be this trust domain's and must not have expired.
 */

import { MeshError } from '../../mesh/errors.ts';
import {
  type AuthorityState,
  activeRoot,
  firstState,
  readAuthority,
  removeLeftovers,
  type SigningRoot,
  signerIn,
} from './authority-journal.ts';
import {
  ClusterAuthority,
  type ClusterAuthorityOptions,
  requireUnexpired,
} from './cluster-authority.ts';
import { makeHeldRoot, makeIntermediate } from './make-signer.ts';

/** Throws what `readAuthority` throws, and CERTIFICATE_INVALID. */
export async function openClusterAuthority(
  options: ClusterAuthorityOptions,
): Promise<ClusterAuthority> {
  const { dir, cluster, trustDomain, now } = options;
  const subject = { name: cluster, trustDomain };
  const state = (await readAuthority(dir)) ?? firstState(makeHeldRoot(subject, now()), now());
  const root = usableRoot(state, options);
  const intermediate = makeIntermediate(subject, signerIn(root), now());
  const authority = new ClusterAuthority(options, subject, state, intermediate);
  await authority.rotateIntermediate('keep');
  await removeLeftovers(dir);
  return authority;
}

function usableRoot(
  state: AuthorityState,
  { dir, trustDomain, now }: ClusterAuthorityOptions,
): SigningRoot {
  const root = activeRoot(state);
  if (root === undefined) {
    throw new MeshError('FILE_CORRUPT', `"${dir}" has no active root; restore it from a backup`);
  }
  const [found] = root.certificate.uris;
  if (found !== undefined && found !== `spiffe://${trustDomain}`) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${dir}" holds the root of "${found}", not of "${trustDomain}"; correct trustDomain in the configuration, or move the directory away to make a new root`,
    );
  }
  requireUnexpired(signerIn(root), now());
  return root;
}
