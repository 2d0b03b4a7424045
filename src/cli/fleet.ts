/**
 * The processes a configuration folder describes: `registry.yaml` and, for each cluster,
 * `<cluster>/{agent,gateway}.yaml` and `<cluster>/sidecars/*.yaml`.
 *
 * The command line reads only the addresses and names it needs; each component judges its own file.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as v from 'valibot';
import type { SocketAddress } from '../mesh/address.ts';
import { MeshError } from '../mesh/errors.ts';
import type { ClusterName, ServiceAccount, WorkloadName } from '../mesh/names.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import {
  address,
  clusterName,
  loadConfig,
  namespace,
  serviceAccount,
  trustDomain,
  workloadName,
} from '../runtime/config.ts';

export interface RegistryMember {
  readonly component: 'registry';
  readonly name: 'registry';
  readonly configFile: string;
  readonly admin: SocketAddress;
  readonly clusterSet: TrustDomain;
}

export interface AgentMember {
  readonly component: 'agent';
  readonly name: string;
  readonly cluster: ClusterName;
  readonly configFile: string;
  readonly admin: SocketAddress;
  readonly trustDomain: TrustDomain;
  readonly region: string;
  readonly servicesFile: string;
}

export interface GatewayMember {
  readonly component: 'gateway';
  readonly name: string;
  readonly cluster: ClusterName;
  readonly configFile: string;
  readonly admin: SocketAddress;
  readonly listen: SocketAddress;
}

export interface SidecarMember {
  readonly component: 'sidecar';
  /** As in `isthmus call east/web`. */
  readonly name: string;
  readonly cluster: ClusterName;
  readonly configFile: string;
  readonly admin: SocketAddress;
  readonly workload: WorkloadName;
  readonly namespace: string;
  readonly serviceAccount: ServiceAccount;
  readonly inbound: SocketAddress;
  readonly outboundHttp: SocketAddress;
  readonly applications: readonly SocketAddress[];
}

export type FleetMember = RegistryMember | AgentMember | GatewayMember | SidecarMember;

export interface ClusterFleet {
  readonly name: ClusterName;
  readonly agent: AgentMember;
  readonly gateway: GatewayMember;
  readonly sidecars: readonly SidecarMember[];
}

export interface Fleet {
  readonly registry: RegistryMember;
  readonly clusters: readonly ClusterFleet[];
}

const registryFile = v.looseObject({ clusterSet: trustDomain(), admin: address() });
const agentFile = v.looseObject({
  cluster: clusterName(),
  trustDomain: trustDomain(),
  locality: v.looseObject({ region: v.string() }),
  services: v.string(),
  admin: address(),
});
const gatewayFile = v.looseObject({ cluster: clusterName(), admin: address(), listen: address() });
const sidecarFile = v.looseObject({
  cluster: clusterName(),
  workload: v.looseObject({
    name: workloadName(),
    namespace: namespace(),
    serviceAccount: serviceAccount(),
  }),
  inbound: v.looseObject({
    listen: address(),
    services: v.array(v.looseObject({ application: address() })),
  }),
  outbound: v.looseObject({ http: address() }),
  admin: address(),
});

/** Throws CONFIG_UNREADABLE or CONFIG_INVALID, naming the file. */
export function readFleet(configDir: string): Fleet {
  const registryConfig = join(configDir, 'registry.yaml');
  if (!existsSync(registryConfig)) {
    throw new MeshError(
      'CONFIG_UNREADABLE',
      `no registry.yaml in "${configDir}"; name the folder that holds it with --config-dir`,
    );
  }
  const registry = loadConfig(registryConfig, registryFile);
  const clusters = readdirSync(configDir, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && existsSync(join(configDir, entry.name, 'agent.yaml')))
    .map(entry => readCluster(join(configDir, entry.name)))
    .sort((a, b) => a.name.localeCompare(b.name));
  return {
    registry: {
      component: 'registry',
      name: 'registry',
      configFile: registryConfig,
      admin: registry.admin,
      clusterSet: registry.clusterSet,
    },
    clusters,
  };
}

/** A sidecar by `<cluster>/<service account>` or workload name; throws CONFIG_INVALID with the known names. */
export function findSidecar(fleet: Fleet, name: string): SidecarMember {
  const sidecars = fleet.clusters.flatMap(cluster => cluster.sidecars);
  const found = sidecars.find(sidecar => sidecar.name === name || sidecar.workload === name);
  if (found !== undefined) return found;
  const known = sidecars.map(sidecar => sidecar.name).join(', ');
  throw new MeshError('CONFIG_INVALID', `no workload "${name}"; the configuration knows ${known}`);
}

export function allMembers(fleet: Fleet): readonly FleetMember[] {
  return [
    fleet.registry,
    ...fleet.clusters.flatMap(cluster => [cluster.agent, cluster.gateway, ...cluster.sidecars]),
  ];
}

function readCluster(dir: string): ClusterFleet {
  const agentConfig = join(dir, 'agent.yaml');
  const agent = loadConfig(agentConfig, agentFile);
  const gatewayConfig = join(dir, 'gateway.yaml');
  const gateway = loadConfig(gatewayConfig, gatewayFile);
  const sidecarsDir = join(dir, 'sidecars');
  const sidecarFiles = existsSync(sidecarsDir)
    ? readdirSync(sidecarsDir).filter(file => file.endsWith('.yaml'))
    : [];
  return {
    name: agent.cluster,
    agent: {
      component: 'agent',
      name: `${agent.cluster}/agent`,
      cluster: agent.cluster,
      configFile: agentConfig,
      admin: agent.admin,
      trustDomain: agent.trustDomain,
      region: agent.locality.region,
      servicesFile: resolve(dir, agent.services),
    },
    gateway: {
      component: 'gateway',
      name: `${agent.cluster}/gateway`,
      cluster: agent.cluster,
      configFile: gatewayConfig,
      admin: gateway.admin,
      listen: gateway.listen,
    },
    sidecars: sidecarFiles.sort().map(file => readSidecar(join(sidecarsDir, file))),
  };
}

function readSidecar(configFile: string): SidecarMember {
  const file = loadConfig(configFile, sidecarFile);
  return {
    component: 'sidecar',
    name: `${file.cluster}/${file.workload.serviceAccount}`,
    cluster: file.cluster,
    configFile,
    admin: file.admin,
    workload: file.workload.name,
    namespace: file.workload.namespace,
    serviceAccount: file.workload.serviceAccount,
    inbound: file.inbound.listen,
    outboundHttp: file.outbound.http,
    applications: file.inbound.services.map(service => service.application),
  };
}
