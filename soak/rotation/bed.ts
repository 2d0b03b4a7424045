/** Three clusters as processes of their own, and the ways into them that the load takes. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applicationProcess } from '../../src/cli/demo/application.ts';
import { accepting, componentProcess, ProcessSet } from '../../src/cli/demo/processes.ts';
import { enrolProxies, provisionClusterSet } from '../../src/cli/demo/provision.ts';
import {
  type Fleet,
  findSidecar,
  type GatewayMember,
  readFleet,
  type SidecarMember,
} from '../../src/cli/fleet.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import type { Cuttable } from '../cut.ts';
import { CUT_OFF, writeConfiguration } from './configuration.ts';

export interface Bed {
  readonly fleet: Fleet;
  readonly processes: ProcessSet;
  readonly proxies: readonly (GatewayMember | SidecarMember)[];
  /** web's sidecar: for HTTP, and for the streams. */
  readonly http: SocketAddress;
  readonly streams: SocketAddress;
  /** A sidecar of the cluster that the knife can cut off from the registry. */
  readonly cutOffHttp: SocketAddress;
  readonly knife: Cuttable;
  /** Where each process keeps its state. */
  stateDir(name: string): string;
  close(): Promise<void>;
}

const ECHO = fileURLToPath(new URL('./echo-main.js', import.meta.url));

export async function startBed(): Promise<Bed> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-soak-'));
  const processes = new ProcessSet(dir);
  let knife: Cuttable | undefined;
  const close = async (): Promise<void> => {
    await processes.stopAll();
    await knife?.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const configDir = join(dir, 'clusters');
    const ways = await writeConfiguration(configDir);
    const { entry, echo } = ways;
    knife = ways.knife;
    const fleet = readFleet(configDir);
    const stateDir = (name: string): string => join(dir, 'state', name);
    await provisionClusterSet(fleet, stateDir);
    const agents = fleet.clusters.map(({ agent }) => agent);
    await processes.start(
      ...[fleet.registry, ...agents].map(each => componentProcess(each, stateDir(each.name))),
    );
    await enrolProxies(fleet, stateDir);
    const sidecars = fleet.clusters.flatMap(cluster => cluster.sidecars);
    const proxies = [...fleet.clusters.map(({ gateway }) => gateway), ...sidecars];
    await processes.start(
      ...sidecars.map(applicationProcess),
      {
        name: 'west/payments/echo',
        command: process.execPath,
        args: [ECHO, echo.host, String(echo.port)],
        waitingFor: accepting(echo),
      },
      ...proxies.map(each => componentProcess(each, stateDir(each.name))),
    );
    return {
      fleet,
      processes,
      proxies,
      http: findSidecar(fleet, 'east/web').outboundHttp,
      streams: entry,
      cutOffHttp: findSidecar(fleet, `${CUT_OFF}/checkout`).outboundHttp,
      knife,
      stateDir,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
