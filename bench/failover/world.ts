/**
 * Three clusters as the demo has them, on free ports, each part a process; and a second gateway for west,
 * so that one of two can fail.
 */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { applicationProcess } from '../../src/cli/demo/application.ts';
import { componentProcess, ProcessSet, type ProcessSpec } from '../../src/cli/demo/processes.ts';
import { enrolProxies, provisionClusterSet, shareServices } from '../../src/cli/demo/provision.ts';
import { enrolProxy } from '../../src/cli/enrol.ts';
import { type Fleet, findSidecar, type GatewayMember, readFleet } from '../../src/cli/fleet.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { gatewayId } from '../../src/mesh/system-identities.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { relocate } from '../../test/support/relocate.ts';

export const SERVICE_HOST = 'checkout.shop.svc.clusterset.local';
const CALLER = 'east/web';
const CLUSTERS = fileURLToPath(new URL('../../../clusters', import.meta.url));

export interface World {
  readonly fleet: Fleet;
  readonly processes: ProcessSet;
  /** West's two. */
  readonly gateways: readonly [GatewayMember, GatewayMember];
  /** The caller's door for its application. */
  readonly entry: SocketAddress;
  /** The service as the caller's sidecar sees it. */
  endpoints(): Promise<readonly SeenEndpoint[]>;
  stop(): Promise<void>;
}

export interface SeenEndpoint {
  readonly workload: string;
  readonly cluster: string;
  readonly outOfService?: string;
  readonly ways: readonly {
    readonly address: string;
    readonly outSinceMs?: number;
    readonly gatewayOutSinceMs?: number;
    readonly probed?: { readonly kind: string };
  }[];
}

export async function startWorld(): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-failover-'));
  const configDir = join(dir, 'clusters');
  await relocate(CLUSTERS, configDir);
  const fleet = readFleet(configDir);
  const west = fleet.clusters.find(({ name }) => name === 'west');
  if (west === undefined) throw new Error('the configuration has no cluster "west"');
  const second = await secondGateway(west.gateway, west.agent.configFile);
  const processes = new ProcessSet(dir);
  const stateDir = (name: string): string => join(dir, 'state', name);
  const component = (member: Parameters<typeof componentProcess>[0]): ProcessSpec =>
    componentProcess(member, stateDir(member.name));
  const stop = async (): Promise<void> => {
    await processes.stopAll();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await provisionClusterSet(fleet, stateDir);
    await processes.start(
      component(fleet.registry),
      ...fleet.clusters.map(({ agent }) => component(agent)),
    );
    await shareServices(fleet);
    await enrolProxies(fleet, stateDir);
    await enrolProxy({
      id: gatewayId(west.agent.trustDomain),
      agentStateDir: stateDir(west.agent.name),
      stateDir: stateDir(second.name),
    });
    const sidecars = fleet.clusters.flatMap(cluster => cluster.sidecars);
    await processes.start(
      ...sidecars.map(applicationProcess),
      ...fleet.clusters.map(({ gateway }) => component(gateway)),
      component(second),
      ...sidecars.map(component),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  const caller = findSidecar(fleet, CALLER);
  return {
    fleet,
    processes,
    gateways: [west.gateway, second],
    entry: caller.outboundHttp,
    endpoints: async () => {
      type Upstream = { readonly host: string; readonly endpoints: readonly SeenEndpoint[] };
      const upstreams = await askAdminBody<Upstream[]>(caller.admin, '/debug/upstreams');
      return upstreams?.find(({ host }) => host === SERVICE_HOST)?.endpoints ?? [];
    },
    stop,
  };
}

/** A copy of the first on ports of its own, and the agent told of both. */
async function secondGateway(first: GatewayMember, agentFile: string): Promise<GatewayMember> {
  const configFile = first.configFile.replace('gateway.yaml', 'gateway-1.yaml');
  cpSync(first.configFile, configFile);
  const listen = await findFreeAddress('127.0.0.1');
  const admin = await findFreeAddress('127.0.0.1');
  const edit = (file: string, ...changes: readonly (readonly [string, string])[]): void => {
    const edited = changes.reduce(
      (text, [from, to]) => {
        if (!text.includes(from)) throw new Error(`"${file}" has no "${from}"`);
        return text.replace(from, to);
      },
      readFileSync(file, 'utf8'),
    );
    writeFileSync(file, edited);
  };
  edit(
    configFile,
    ['gateway-west-0', 'gateway-west-1'],
    [`listen: ${formatAddress(first.listen)}`, `listen: ${formatAddress(listen)}`],
    [`admin: ${formatAddress(first.admin)}`, `admin: ${formatAddress(admin)}`],
  );
  const known = `gateways: [${formatAddress(first.listen)}]`;
  edit(agentFile, [known, known.replace(']', `, ${formatAddress(listen)}]`)]);
  return { ...first, name: 'west/gateway-1', configFile, listen, admin };
}
