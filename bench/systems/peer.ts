/**
 * A native proxy in the three jobs of the mesh. Each job is one process with one configuration file, and
 * carries requests and plain bytes;
 * what a proxy writes into it is its own file here, how they are put together is this one.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepting } from '../../src/cli/demo/processes.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import type { Processes } from '../accounting.ts';
import type { PeerTls } from './certificates.ts';
import type { Bed, Role, StartedSystem, System, Topology } from './system.ts';

/** From where to where, and the server name by which the far sidecar is called on the way. */
export interface Lane {
  readonly listen: SocketAddress;
  readonly next: SocketAddress;
  readonly serverName: string;
}

/** Outbound: HTTP/1.1 and plain bytes in, mTLS out. Inbound: the same backwards, to the application. */
export interface SidecarJob {
  readonly http: Lane;
  readonly tcp: Lane;
  readonly tls: PeerTls;
}

/** TLS passed through by the server name of its ClientHello; any other name is closed. */
export interface GatewayJob {
  readonly listen: SocketAddress;
  readonly lanes: readonly Lane[];
  /** How many it must be able to hold at once. */
  readonly connectionsMax: number;
}

export interface Peer {
  readonly name: string;
  readonly program: string;
  /** Envoy tells the format by the extension. */
  readonly configName: string;
  outbound(job: SidecarJob): string;
  gateway(job: GatewayJob): string;
  inbound(job: SidecarJob): string;
  /** Runs in the foreground, as one process, on this file; `dir` is for files of its own. */
  args(configFile: string, dir: string): readonly string[];
}

const ROLES: Readonly<Record<Topology, readonly Role[]>> = {
  chain: ['in', 'gateway', 'out'],
  hop: ['in', 'out'],
  gateway: ['gateway'],
  inbound: ['in'],
  // No peer signs for anybody.
  authority: [],
};

/** No more than are needed: nginx sets memory aside for each, and that memory is measured. */
const CONNECTIONS_MAX = 500;
const IDLE_CONNECTIONS_MAX = 11_000;

export function peerSystem(peer: Peer): System {
  return { name: peer.name, start: (bed, topology) => startPeer(peer, bed, topology) };
}

/** From the application outwards: each listens in front of the one before. */
async function startPeer(peer: Peer, bed: Bed, topology: Topology): Promise<StartedSystem> {
  const { client, server } = bed.peerCredentials;
  const connectionsMax = topology === 'gateway' ? IDLE_CONNECTIONS_MAX : CONNECTIONS_MAX;
  const processes: Record<string, number> = {};
  const application = topology === 'gateway' ? bed.endpoint : bed.backend;
  let next = { http: application, tcp: application };
  for (const role of ROLES[topology]) {
    const listen = await findFreeAddress('127.0.0.1');
    // A sidecar tells the two kinds of traffic apart by port, a gateway by server name.
    const tcpListen = role === 'gateway' ? listen : await findFreeAddress('127.0.0.1');
    const http = { listen, next: next.http, serverName: bed.serverName };
    const tcp = { listen: tcpListen, next: next.tcp, serverName: bed.tcpServerName };
    const configuration = {
      out: () => peer.outbound({ http, tcp, tls: client }),
      gateway: () => peer.gateway({ listen, lanes: [http, tcp], connectionsMax }),
      in: () => peer.inbound({ http, tcp, tls: server }),
    };
    processes[role] = await startOne(peer, bed, role, listen, configuration[role]());
    next = { http: listen, tcp: tcpListen };
  }
  return {
    name: peer.name,
    entry: next.http,
    tcpEntry: next.tcp,
    processes: inFlowOrder(processes),
    callerTls: client,
  };
}

async function startOne(
  peer: Peer,
  bed: Bed,
  role: Role,
  listen: SocketAddress,
  text: string,
): Promise<number> {
  const name = `${peer.name}/${role}`;
  const dir = join(bed.dir, name);
  await mkdir(dir, { recursive: true });
  const configFile = join(dir, peer.configName);
  await writeFile(configFile, text);
  return bed.startSystem({
    name,
    command: peer.program,
    args: peer.args(configFile, dir),
    waitingFor: accepting(listen),
  });
}

function inFlowOrder(processes: Processes): Processes {
  return Object.fromEntries(
    ['out', 'gateway', 'in'].flatMap(role => {
      const pid = processes[role];
      return pid === undefined ? [] : [[role, pid]];
    }),
  );
}
