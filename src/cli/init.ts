/** `isthmus init`: the ClusterSet's authority and the credentials made with it, as folders to carry. */

import { join } from 'node:path';
import { type ClusterName, parseClusterName } from '../mesh/names.ts';
import { parseTrustDomain } from '../mesh/spiffe-id.ts';
import { initClusterSet } from '../trust-federation/authority/clusterset-authority.ts';
import { table } from './text.ts';

/** Resolves with what to tell the operator. Throws NAME_INVALID and the FILE_ codes. */
export async function initClusterSetDir(
  dir: string,
  clusterSet: string,
  names: readonly string[],
): Promise<string> {
  const trustDomain = parseTrustDomain(clusterSet);
  const clusters = names.map((name): ClusterName => parseClusterName(name));
  await initClusterSet({ dir, trustDomain, clusters, now: Date.now });
  const rows = [
    [join(dir, 'authority'), 'keep offline: whoever holds it decides who is a member'],
    [join(dir, 'registry', 'identity'), "copy into the registry's state directory"],
    [
      join(dir, 'registry', 'authority'),
      'also, if that registry is to admit clusters ("isthmus token create")',
    ],
    ...clusters.map(name => [
      join(dir, 'clusters', name, 'membership'),
      `copy into the state directory of ${name}'s agent`,
    ]),
  ];
  return `${table(['MADE', 'NEXT'], rows)}\n`;
}
