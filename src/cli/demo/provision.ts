/**
 * Credentials for the demo's processes, made the way an operator makes them: the ClusterSet authority
 * vouches for the registry and the agents; a one-time token and its agent's root admit each proxy.
 */

import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { parseNamespace, parseServiceAccount } from '../../mesh/names.ts';
import { type SpiffeId, type TrustDomain, workloadId } from '../../mesh/spiffe-id.ts';
import {
  initClusterSet,
  writeMemberCredentials,
} from '../../trust-federation/clusterset-authority.ts';
import { enrolProxy } from '../enrol.ts';
import type { Fleet, GatewayMember, SidecarMember } from '../fleet.ts';

export async function provisionClusterSet(
  fleet: Fleet,
  stateDir: (name: string) => string,
): Promise<void> {
  const dir = stateDir('clusterset');
  const authority = await initClusterSet({
    dir,
    trustDomain: fleet.registry.clusterSet,
    clusters: [],
    now: Date.now,
  });
  await cp(join(dir, 'registry'), stateDir(fleet.registry.name), { recursive: true });
  for (const { name, agent } of fleet.clusters) {
    await writeMemberCredentials(authority, name, join(stateDir(agent.name), 'membership'));
  }
}

/** After the agents' first start, which makes their roots. */
export async function enrolProxies(
  fleet: Fleet,
  stateDir: (name: string) => string,
): Promise<void> {
  for (const { agent, gateway, sidecars } of fleet.clusters) {
    for (const proxy of [gateway, ...sidecars]) {
      await enrolProxy({
        id: proxyId(proxy, agent.trustDomain),
        agentStateDir: stateDir(agent.name),
        stateDir: stateDir(proxy.name),
      });
    }
  }
}

function proxyId(proxy: GatewayMember | SidecarMember, trustDomain: TrustDomain): SpiffeId {
  return proxy.component === 'gateway'
    ? workloadId(
        trustDomain,
        parseNamespace('isthmus-system'),
        parseServiceAccount('east-west-gateway'),
      )
    : workloadId(trustDomain, parseNamespace(proxy.namespace), proxy.serviceAccount);
}
