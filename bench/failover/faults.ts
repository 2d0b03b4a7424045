/** What is done to the mesh, how it is undone, and how the caller's sidecar shows that it has noticed. */

import { createServer, type Server, type Socket } from 'node:net';
import { applicationName } from '../../src/cli/demo/application.ts';
import { findSidecar, type GatewayMember } from '../../src/cli/fleet.ts';
import { formatAddress } from '../../src/mesh/address.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import type { Outcome } from './load.ts';
import { dropPackets, heal, type Loss } from './namespace.ts';
import type { SeenEndpoint, World } from './world.ts';

export interface Fault {
  readonly name: string;
  readonly goals: Goals;
  readonly needsPacketFilter: boolean;
  readonly isQuick: boolean;
  inject(): Promise<void>;
  heal(): Promise<void>;
  isNoticed(endpoint: SeenEndpoint): boolean;
  /** Whether a call went the way that was broken. */
  isBack(outcome: Outcome): boolean;
}

/** For the caller's sidecar to show it, and for calls to have moved. */
export interface Goals {
  readonly detectMs: number;
  readonly movedMs: number;
}

const RESET: Goals = { detectMs: 3_000, movedMs: 1_000 };
const BLACK_HOLE: Goals = { detectMs: 5_000, movedMs: 5_000 };
const HANG: Goals = { detectMs: 8_000, movedMs: 8_000 };

/** While home serves: what happens to the one endpoint there. */
export function serviceFaults(world: World): readonly Fault[] {
  const home = findSidecar(world.fleet, 'east/checkout');
  const application = applicationName(home);
  const shared = {
    needsPacketFilter: false,
    isNoticed: ({ workload, outOfService }: SeenEndpoint) =>
      workload === home.workload && outOfService !== undefined,
    isBack: ({ servedBy }: Outcome) => servedBy === home.workload,
  };
  return [
    {
      ...shared,
      name: 'service killed',
      goals: RESET,
      isQuick: true,
      inject: () => world.processes.kill(application),
      heal: () => world.processes.restart(application),
    },
    {
      ...shared,
      name: 'service stopped (SIGSTOP)',
      goals: HANG,
      isQuick: false,
      inject: async () => signalTo(world, application, 'SIGSTOP'),
      heal: async () => signalTo(world, application, 'SIGCONT'),
    },
  ];
}

/** While the others serve: what happens to one of west's gateways, or to all of west. */
export function pathFaults(world: World): readonly Fault[] {
  const [first] = world.gateways;
  const west = world.fleet.clusters.find(({ name }) => name === 'west');
  if (west === undefined) throw new Error('no cluster "west"');
  const everything = [
    ...world.gateways.map(({ name }) => name),
    ...west.sidecars.flatMap(sidecar => [applicationName(sidecar), sidecar.name]),
    west.agent.name,
  ];
  const gateway = {
    isQuick: false,
    needsPacketFilter: false,
    isNoticed: ({ ways }: SeenEndpoint) => ways.some(way => isOut(way, [first])),
    isBack: ({ through }: Outcome) => through === formatAddress(first.listen),
  };
  const region = {
    isQuick: false,
    needsPacketFilter: false,
    isNoticed: ({ cluster, ways }: SeenEndpoint) =>
      cluster === 'west' && ways.every(way => isOut(way, world.gateways)),
    isBack: ({ servedBy }: Outcome) => servedBy === 'checkout-west-0',
  };
  const lossy = (loss: Loss, gateways: readonly GatewayMember[]) => ({
    needsPacketFilter: true,
    inject: async () =>
      dropPackets(
        gateways.map(({ listen: { port } }) => port),
        loss,
      ),
    heal: async () => heal(),
  });
  return [
    {
      ...gateway,
      name: 'one of two gateways killed',
      goals: RESET,
      isQuick: true,
      inject: () => world.processes.kill(first.name),
      heal: () => world.processes.restart(first.name),
    },
    {
      ...gateway,
      ...lossy('both-ways', [first]),
      name: 'one of two gateways black-holed',
      goals: BLACK_HOLE,
      isQuick: true,
    },
    {
      ...gateway,
      ...lossy('answers', [first]),
      name: 'answers of one of two gateways dropped',
      goals: BLACK_HOLE,
    },
    {
      ...gateway,
      name: 'one of two gateways stopped (SIGSTOP)',
      goals: HANG,
      isQuick: true,
      inject: async () => signalTo(world, first.name, 'SIGSTOP'),
      heal: async () => signalTo(world, first.name, 'SIGCONT'),
    },
    {
      ...gateway,
      ...hangingTls(world, first),
      name: 'one of two gateways accepts, TLS hangs',
      goals: HANG,
    },
    {
      ...region,
      name: 'a whole cluster killed',
      goals: RESET,
      inject: async () => {
        await Promise.all(everything.map(name => world.processes.kill(name)));
      },
      heal: () => world.processes.restart(...everything),
    },
    {
      ...region,
      ...lossy('both-ways', world.gateways),
      name: 'a whole cluster black-holed',
      goals: BLACK_HOLE,
    },
  ];
}

/** The gateway is killed, and something that never speaks listens in its place. */
function hangingTls(world: World, gateway: GatewayMember): Pick<Fault, 'inject' | 'heal'> {
  const held = new Set<Socket>();
  let server: Server | undefined;
  return {
    inject: async () => {
      await world.processes.kill(gateway.name);
      server = createServer(socket => {
        held.add(socket);
        socket.on('error', () => undefined);
      });
      await listen(server, gateway.listen);
    },
    heal: async () => {
      const closed = server === undefined ? undefined : closeServer(server);
      for (const socket of held) socket.destroy();
      await closed;
      await world.processes.restart(gateway.name);
    },
  };
}

function isOut(way: SeenEndpoint['ways'][number], gateways: readonly GatewayMember[]): boolean {
  const isOurs = gateways.some(({ listen: address }) => formatAddress(address) === way.address);
  const isDown = way.probed !== undefined && ['down', 'held'].includes(way.probed.kind);
  return isOurs && (isDown || way.outSinceMs !== undefined || way.gatewayOutSinceMs !== undefined);
}

export function signalTo(world: World, name: string, what: 'SIGSTOP' | 'SIGCONT'): void {
  const pid = world.processes.pids.get(name);
  if (pid === undefined) throw new Error(`"${name}" does not run`);
  process.kill(pid, what);
}
