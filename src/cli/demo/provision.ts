/**
 * Credentials for the demo's processes, made the way an operator makes them: the ClusterSet authority
 * vouches for the registry and the agents; a one-time token and its agent's root admit each proxy.
 */

import { readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseNamespace, parseServiceAccount } from '../../mesh/names.ts';
import { type SpiffeId, type TrustDomain, workloadId } from '../../mesh/spiffe-id.ts';
import {
  initClusterSet,
  writeMemberCredentials,
} from '../../trust-federation/authority/clusterset-authority.ts';
import { RegistryOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/registry.ts';
import { enrolProxy } from '../enrol.ts';
import type { Fleet, GatewayMember, SidecarMember } from '../fleet.ts';
import { askRegistry, operatorName } from '../operator.ts';

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

/**
 * Says, as an operator would, that all the clusters which export a service back it: the registry lets only
 * the first one do so by itself. After the registry's start.
 */
export async function shareServices(fleet: Fleet): Promise<void> {
  const exporters = new Map<string, string[]>();
  for (const { name, agent } of fleet.clusters) {
    const { services } = parse(readFileSync(agent.servicesFile, 'utf8')) as ServicesFile;
    for (const service of services.filter(each => each.export === true)) {
      const key = `${service.namespace}/${service.name}`;
      exporters.set(key, [...(exporters.get(key) ?? []), name]);
    }
  }
  await askRegistry(fleet, async channel => {
    for (const [key, clusters] of exporters) {
      const [namespace = '', service = ''] = key.split('/');
      if (clusters.length < 2) continue;
      await channel.unary(RegistryOperatorDefinition.methods.ownService, {
        namespace,
        service,
        clusters,
        reason: 'exported by all of them',
        by: operatorName(),
      });
    }
  });
}

interface ServicesFile {
  readonly services: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly export?: boolean;
  }[];
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
