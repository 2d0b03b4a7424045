/**
 * Ours, configured by the demo's files in `clusters/` and provisioned as the demo is: a registry, the
 * agents of the clusters that take part, and the proxies on the path.
 *
 * chain is east's web calling west's payments through west's gateway. hop is west's checkout calling the
 * same payments: inside one network sidecars reach each other directly, so there is no gateway on the way.
 * Both also reach them by a TCP port, which the demo does not have.
 */

import { dirname, join } from 'node:path';
import { componentProcess } from '../../src/cli/demo/processes.ts';
import { enrolProxies, provisionClusterSet } from '../../src/cli/demo/provision.ts';
import {
  allMembers,
  type Fleet,
  type GatewayMember,
  type SidecarMember,
} from '../../src/cli/fleet.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { parseNamespace, parseServiceAccount } from '../../src/mesh/names.ts';
import { workloadId } from '../../src/mesh/spiffe-id.ts';
import { saveRoots } from '../../src/trust-federation/authority/root-file.ts';
import { IDENTITY_FILE, saveSvid } from '../../src/trust-federation/identity/svid.ts';
import { addStreamPort } from '../../test/support/stream-port.ts';
import { OURS } from '../results.ts';
import { startAuthority, svidsBeside } from './authority.ts';
import type { TlsFiles } from './certificates.ts';
import type { Bed, Role, StartedSystem, System, Topology } from './system.ts';

/** Whose application is the backend, and by which name it is called. */
export const CALLEE = 'west/payments';
export const CALLEE_HOST = 'payments.shop.svc.clusterset.local';

/** In flow order: the first is where load goes in. */
const CAST: Readonly<Record<Exclude<Topology, 'authority'>, Partial<Record<Role, string>>>> = {
  chain: { out: 'east/web', gateway: 'west/gateway', in: CALLEE },
  hop: { out: 'west/checkout', in: CALLEE },
  gateway: { gateway: 'west/gateway' },
  inbound: { in: CALLEE },
};

export const isthmus: System = { name: OURS, start };

async function start(bed: Bed, topology: Topology): Promise<StartedSystem> {
  if (topology === 'authority') return startAuthority(bed);
  const configDir = dirname(bed.fleet.registry.configFile);
  const { out: caller } = CAST[topology];
  const tcpEntry = caller && (await addStreamPort(configDir, caller, bed.backend));
  const cast = Object.entries(CAST[topology]).map(
    ([role, name]) => [role, findProxy(bed.fleet, name)] as const,
  );
  const members = cast.map(([, member]) => member);
  const fleet = fleetOf(bed.fleet, members);
  const { stateDir } = bed;
  await provisionClusterSet(fleet, stateDir);
  const controlPlane = [fleet.registry, ...fleet.clusters.map(cluster => cluster.agent)];
  await Promise.all(
    controlPlane.map(member => bed.startSystem(componentProcess(member, stateDir(member.name)))),
  );
  await enrolProxies(fleet, stateDir);
  const processes = Object.fromEntries(
    await Promise.all(
      cast.map(
        async ([role, member]) =>
          [role, await bed.startSystem(componentProcess(member, stateDir(member.name)))] as const,
      ),
    ),
  );
  const [first] = members;
  if (first === undefined) throw new Error(`nobody plays in "${topology}"`);
  return {
    name: OURS,
    entry: entryOf(first, topology),
    ...(tcpEntry && { tcpEntry }),
    processes,
    callerTls: await issueCallerTls(bed, fleet),
  };
}

function findProxy(fleet: Fleet, name: string): GatewayMember | SidecarMember {
  const found = allMembers(fleet).find(member => member.name === name);
  if (found?.component === 'gateway' || found?.component === 'sidecar') return found;
  throw new Error(`the configuration has no proxy "${name}"`);
}

/** Only the clusters and sidecars that take part. */
function fleetOf(fleet: Fleet, members: readonly (GatewayMember | SidecarMember)[]): Fleet {
  return {
    registry: fleet.registry,
    clusters: fleet.clusters
      .filter(cluster => members.some(member => member.cluster === cluster.name))
      .map(cluster => ({
        ...cluster,
        sidecars: cluster.sidecars.filter(sidecar => members.includes(sidecar)),
      })),
  };
}

function entryOf(member: GatewayMember | SidecarMember, topology: Topology): SocketAddress {
  if (member.component === 'gateway') return member.listen;
  return topology === 'inbound' ? member.inbound : member.outboundHttp;
}

/** An SVID for the load generator, from the authority of the callee's own cluster. */
async function issueCallerTls(bed: Bed, fleet: Fleet): Promise<TlsFiles> {
  const agent = fleet.clusters.find(cluster => CALLEE.startsWith(`${cluster.name}/`))?.agent;
  if (agent === undefined) throw new Error(`no agent for "${CALLEE}"`);
  const { trustDomain } = agent;
  const id = workloadId(trustDomain, parseNamespace('bench'), parseServiceAccount('load'));
  const { svids, bundle } = await svidsBeside(join(bed.stateDir(agent.name), 'authority'), [id]);
  const [svid] = svids;
  if (svid === undefined) throw new Error('no svid for the load generator');
  const dir = join(bed.dir, 'caller');
  const roots = join(dir, 'roots.pem');
  await saveSvid(dir, svid);
  await saveRoots(roots, bundle);
  return { chain: join(dir, IDENTITY_FILE), key: join(dir, IDENTITY_FILE), roots };
}
