/** An agent alone, for what its authority can sign; and SVIDs for those who ask it, made beside it. */

import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { componentProcess } from '../../src/cli/demo/processes.ts';
import { provisionClusterSet } from '../../src/cli/demo/provision.ts';
import { agentConfigSchema } from '../../src/cluster-agent/config.ts';
import type { SpiffeId } from '../../src/mesh/spiffe-id.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { loadActiveRoot } from '../../src/trust-federation/authority/authority-journal.ts';
import { bundleOf } from '../../src/trust-federation/authority/root-file.ts';
import { generateSvidKey, parseSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import {
  issueIntermediate,
  issueLeaf,
  signerOf,
} from '../../src/trust-federation/x509/certificate.ts';
import { OURS } from '../results.ts';
import type { Bed, StartedSystem } from './system.ts';

const SVID_TTL_MS = 3_600_000;

export async function startAuthority(bed: Bed): Promise<StartedSystem> {
  const [cluster] = bed.fleet.clusters;
  if (cluster === undefined) throw new Error('the configuration has no cluster');
  const { agent } = cluster;
  const fleet = { registry: bed.fleet.registry, clusters: [{ ...cluster, sidecars: [] }] };
  await provisionClusterSet(fleet, bed.stateDir);
  await bed.startSystem(componentProcess(fleet.registry, bed.stateDir('registry')));
  const stateDir = bed.stateDir(agent.name);
  const pid = await bed.startSystem(componentProcess(agent, stateDir));
  const { control, trustDomain } = loadConfig(agent.configFile, agentConfigSchema);
  return {
    name: OURS,
    entry: control,
    processes: { agent: pid },
    authority: { dir: join(stateDir, 'authority'), trustDomain },
  };
}

/** From an intermediate that the agent knows nothing of, as only who holds its root's key can make one. */
export async function svidsBeside(
  authorityDir: string,
  ids: readonly SpiffeId[],
): Promise<{ readonly svids: readonly Svid[]; readonly bundle: ReturnType<typeof bundleOf> }> {
  const root = await loadActiveRoot(authorityDir);
  if (root === undefined) throw new Error(`no authority in "${authorityDir}"`);
  const bundle = bundleOf([root.certificate]);
  const { trustDomain } = bundle;
  const issuerKey = generateSvidKey();
  const nowMs = Date.now();
  const issuer = signerOf(
    issueIntermediate({ name: 'bench', trustDomain }, createPublicKey(issuerKey), root, nowMs),
    issuerKey,
  );
  const svids = ids.map(id => {
    const key = generateSvidKey();
    const publicKey = createPublicKey(key);
    const leaf = issueLeaf({ publicKey, id, ttlMs: SVID_TTL_MS }, issuer, nowMs);
    return parseSvid([leaf, issuer.certificate.der], key);
  });
  return { svids, bundle };
}
