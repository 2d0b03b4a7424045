/**
 * Credentials for the demo's processes, made the way an operator makes them: the ClusterSet authority
 * vouches for the registry and the agents; a one-time token and its agent's root admit each proxy.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createJoinToken } from '../../cluster-agent/client.ts';
import { parseNamespace, parseServiceAccount } from '../../mesh/names.ts';
import { type SpiffeId, type TrustDomain, workloadId } from '../../mesh/spiffe-id.ts';
import { openClusterAuthority } from '../../trust-federation/cluster-authority.ts';
import {
  initClusterSet,
  writeMemberCredentials,
  writeRegistryCredentials,
} from '../../trust-federation/clusterset-authority.ts';
import { saveRoots } from '../../trust-federation/root-file.ts';
import type { Fleet, GatewayMember, SidecarMember } from '../fleet.ts';

const TOKEN_TTL_MS = 10 * 60_000;

export async function provisionClusterSet(
  fleet: Fleet,
  stateDir: (name: string) => string,
): Promise<void> {
  const authority = await initClusterSet({
    dir: stateDir('clusterset'),
    trustDomain: fleet.registry.clusterSet,
    clusters: [],
    now: Date.now,
  });
  await writeRegistryCredentials(authority, join(stateDir(fleet.registry.name), 'identity'));
  for (const { name, agent } of fleet.clusters) {
    await writeMemberCredentials(authority, name, join(stateDir(agent.name), 'membership'));
  }
}

/** After the agents' first start, which makes their roots. */
export async function enrolProxies(
  fleet: Fleet,
  stateDir: (name: string) => string,
): Promise<void> {
  for (const { name, agent, gateway, sidecars } of fleet.clusters) {
    const agentStateDir = stateDir(agent.name);
    const authority = await openClusterAuthority({
      dir: join(agentStateDir, 'authority'),
      cluster: name,
      trustDomain: agent.trustDomain,
      now: Date.now,
    });
    for (const proxy of [gateway, ...sidecars]) {
      const target = stateDir(proxy.name);
      await mkdir(target, { recursive: true, mode: 0o700 });
      const token = await createJoinToken({
        agentStateDir,
        id: proxyId(proxy, agent.trustDomain),
        ttlMs: TOKEN_TTL_MS,
        now: Date.now,
      });
      await writeFile(join(target, 'join-token'), token, { mode: 0o600 });
      await saveRoots(join(target, 'trust-root.pem'), authority.bundle());
    }
  }
}

export function proxyId(proxy: GatewayMember | SidecarMember, trustDomain: TrustDomain): SpiffeId {
  return proxy.component === 'gateway'
    ? workloadId(
        trustDomain,
        parseNamespace('isthmus-system'),
        parseServiceAccount('east-west-gateway'),
      )
    : workloadId(trustDomain, parseNamespace(proxy.namespace), proxy.serviceAccount);
}
