/**
 * What the faults are done to: an etcd of three, two registries on it, the clusters east and west with
 * everything they need, each a process of its own, and the proxies between them that lie on request.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applicationProcess } from '../../src/cli/demo/application.ts';
import { adminReady, componentProcess, ProcessSet } from '../../src/cli/demo/processes.ts';
import { enrolProxies } from '../../src/cli/demo/provision.ts';
import { type Fleet, readFleet, type SidecarMember } from '../../src/cli/fleet.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { type ClusterName, parseClusterName } from '../../src/mesh/names.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import {
  type ClusterSetCredentials,
  initClusterSet,
  loadMemberCredentials,
  writeMemberCredentials,
  writeRegistryCredentials,
} from '../../src/trust-federation/authority/clusterset-authority.ts';
import { type Cuttable, openCuttable } from '../cut.ts';
import {
  CLUSTER_SET,
  type RegistryFiles,
  type WorkloadFile,
  writeCluster,
  writeRegistry,
  writeServices,
} from './configuration.ts';
import { type Distorter, startDistorter } from './distorter.ts';
import { EtcdCluster } from './etcd-cluster.ts';

export const REGISTRIES = ['registry', 'registry-2'] as const;

export interface Bed {
  readonly dir: string;
  readonly processes: ProcessSet;
  readonly etcd: EtcdCluster;
  readonly fleet: Fleet;
  /** The sidecar whose application calls. */
  readonly caller: SidecarMember;
  readonly registries: readonly SocketAddress[];
  /** Between east's agent and the registries. */
  readonly knife: Cuttable;
  /** Between the second registry and etcd. */
  readonly belowRegistry: readonly Distorter[];
  /** Between west's agent, and whoever else asks, and the registries. */
  readonly aboveRegistry: readonly Distorter[];
  /** Credentials of members that exist only here. */
  credentials(cluster: ClusterName): Promise<ClusterSetCredentials>;
  /** Makes west's idle service have exactly these workloads. */
  setFleet(workloads: readonly string[]): void;
  close(): Promise<void>;
}

const WEST = parseClusterName('west');
const EAST = parseClusterName('east');

export async function startBed(
  guests: readonly ClusterName[],
  fleetAtStart: readonly string[],
  random: () => number,
): Promise<Bed> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-soak-'));
  const processes = new ProcessSet(dir);
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await processes.stopAll();
    await Promise.all(closers.map(each => each()));
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const stateDir = (name: string): string => join(dir, 'state', name);
    const configDir = join(dir, 'clusters');
    const authority = await initClusterSet({
      dir: stateDir('clusterset'),
      trustDomain: parseTrustDomain(CLUSTER_SET),
      clusters: guests,
      now: Date.now,
    });
    const credentials = (cluster: ClusterName): Promise<ClusterSetCredentials> =>
      loadMemberCredentials(join(stateDir('clusterset'), 'clusters', cluster, 'membership'));
    const etcd = await EtcdCluster.start(processes, dir);

    const belowRegistry = await Promise.all(
      etcd.members.map(({ client }) => startDistorter({ target: client, random })),
    );
    closers.push(...belowRegistry.map(each => () => each.close()));
    const files: readonly RegistryFiles[] = [
      await writeRegistry(
        configDir,
        REGISTRIES[0],
        etcd.members.map(({ client }) => client),
      ),
      await writeRegistry(
        configDir,
        REGISTRIES[1],
        belowRegistry.map(({ address }) => address),
      ),
    ];
    const registries = files.map(({ listen }) => listen);
    for (const name of REGISTRIES) {
      await writeRegistryCredentials(authority, join(stateDir(name), 'identity'));
    }
    await writeMemberCredentials(authority, EAST, join(stateDir('east/agent'), 'membership'));
    await writeMemberCredentials(authority, WEST, join(stateDir('west/agent'), 'membership'));

    const knife = await openCuttable(registries);
    closers.push(() => knife.close());
    const server = (await loadMemberCredentials(join(stateDir('registry'), 'identity'))).svid;
    const west = (await loadMemberCredentials(join(stateDir('west/agent'), 'membership'))).svid;
    const aboveRegistry = await Promise.all(
      registries.map(target => startDistorter({ target, random, tls: { server, client: west } })),
    );
    closers.push(...aboveRegistry.map(each => () => each.close()));

    await writeCluster(configDir, EAST, knife.addresses, [
      { name: 'web-0', serviceAccount: 'web' },
    ]);
    const payments: readonly WorkloadFile[] = await writeCluster(
      configDir,
      WEST,
      aboveRegistry.map(({ address }) => address),
      ['payments-0', 'payments-1'].map(name => ({ name, serviceAccount: 'payments' })),
    );
    writeServices(configDir, EAST, [], []);
    const setFleet = (workloads: readonly string[]): void =>
      writeServices(configDir, WEST, payments, workloads);
    setFleet(fleetAtStart);

    const fleet = withUniqueNames(readFleet(configDir));
    await startProcesses(processes, fleet, files, stateDir);
    const caller = fleet.clusters.flatMap(each => each.sidecars).find(s => s.cluster === EAST);
    if (caller === undefined) throw new Error('no caller');
    return {
      dir,
      processes,
      etcd,
      fleet,
      caller,
      registries,
      knife,
      belowRegistry,
      aboveRegistry,
      credentials,
      setFleet,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Two workloads of one service account would be one process name. */
function withUniqueNames(fleet: Fleet): Fleet {
  const clusters = fleet.clusters.map(cluster => ({
    ...cluster,
    sidecars: cluster.sidecars.map(each => ({ ...each, name: `${cluster.name}/${each.workload}` })),
  }));
  return { ...fleet, clusters };
}

async function startProcesses(
  processes: ProcessSet,
  fleet: Fleet,
  registries: readonly RegistryFiles[],
  stateDir: (name: string) => string,
): Promise<void> {
  const [first, second] = registries;
  if (first === undefined || second === undefined) throw new Error('two registries are needed');
  const registry = componentProcess(fleet.registry, stateDir(REGISTRIES[0]));
  await processes.start(registry, {
    ...componentProcess(fleet.registry, stateDir(REGISTRIES[1]), second.configFile),
    name: REGISTRIES[1],
    waitingFor: adminReady(second.admin),
  });
  const agents = fleet.clusters.map(({ agent }) => agent);
  await processes.start(...agents.map(agent => componentProcess(agent, stateDir(agent.name))));
  await enrolProxies(fleet, stateDir);
  const proxies = fleet.clusters.flatMap(({ gateway, sidecars }) => [gateway, ...sidecars]);
  await processes.start(
    ...fleet.clusters.flatMap(({ sidecars }) => sidecars).map(applicationProcess),
    ...proxies.map(proxy => componentProcess(proxy, stateDir(proxy.name))),
  );
}
