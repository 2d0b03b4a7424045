/** The gateway alone: bytes through it, connections set up through it, idle ones held by it. */

import { readFileSync } from 'node:fs';
import { memoryFigures } from '../accounting.ts';
import { clientHello, type GatewayLoad } from '../load/gateway-load.ts';
import { runGenerator } from '../load/outcome.ts';
import { runWrk } from '../load/wrk.ts';
import { type Bench, type Column, type Measured, type Scenario, underLoad } from '../scenario.ts';
import type { RunningSystem } from '../systems/system.ts';
import { cpuColumns } from './http.ts';
import type { BenchPath, SystemName } from './path.ts';

const IDLE_CONNECTIONS = 10_000;
/** Opening that many takes a while where a gateway is slow to accept. */
const IDLE_OPEN_MS = 60_000;
/** Files that a process needs for itself. */
const OTHER_FILES = 100;
const SETTING_UP = 16;

export const BUSY: Column = { heading: 'CPU busy %', figure: 'busyPercent' };

/** How HAProxy and nginx carry bulk best; for the rest their variants are the same as they are. */
const FOR_BULK: readonly SystemName[] = ['haproxySplice', 'haproxy256k', 'nginx256k'];

export const gateway: BenchPath = {
  topology: 'gateway',
  systems: ['isthmus', 'haproxy', ...FOR_BULK, 'nginx', 'envoy'],
  // Idle first: memory that another run has left resident would hide what a connection needs.
  scenarios: bench => [idle(bench), bulk(bench, 1), bulk(bench, 8), connects(bench)],
};

function bulk(bench: Bench, streams: number): Scenario {
  return {
    ...bulkQuestion([], streams),
    id: `bulk${streams}`,
    measure: system => load(bench, system, 'bulk', streams),
  };
}

/** Also asked of sidecars; `roles` are the processes whose share is told. */
export function bulkQuestion(
  roles: readonly string[],
  streams: number,
): Omit<Scenario, 'id' | 'measure'> {
  return {
    title: `bulk towards the caller, ${streams} stream${streams > 1 ? 's' : ''}`,
    connections: streams,
    columns: [
      { heading: 'MB/s', figure: 'mbPerSecond' },
      ...[...roles, 'total'].map(role => ({
        heading: `CPU ms/GB ${role}`,
        figure: `cpuMsPerGb.${role}`,
      })),
      BUSY,
      { heading: 'RSS MB', figure: 'rssMb', digits: 1 },
    ],
    ratios: [
      { name: `bulk${streams}`, figure: 'mbPerSecond', better: 'higher' },
      { name: `cpuPerGb${streams}`, figure: 'cpuMsPerGb.total', better: 'lower' },
    ],
    direct: {},
  };
}

/** wrk sends a ClientHello for a request and nginx answers it: two programs faster than any gateway here. */
function connects(bench: Bench): Scenario {
  const { bed, pace, signal } = bench;
  return {
    id: 'connects',
    title: `connections set up, answered once and closed, ${SETTING_UP} at a time`,
    connections: SETTING_UP,
    columns: [
      { heading: 'connections/s', figure: 'rps' },
      { heading: 'p50 µs', figure: 'p50Us' },
      { heading: 'p99 µs', figure: 'p99Us' },
      ...cpuColumns(['gateway']).slice(0, 1),
      BUSY,
    ],
    ratios: [
      { name: 'connects', figure: 'rps', better: 'higher' },
      { name: 'cpuPerConnect', figure: 'cpuUsPerRequest.gateway', better: 'lower' },
    ],
    without: FOR_BULK,
    direct: {},
    measure: async system => {
      const target = { address: system.entry, hostHeader: bed.serverName, path: '/', bodyBytes: 0 };
      const rawRequest = await clientHello(bed.serverName);
      const load = (ms: number) => () =>
        runWrk(bed, { target, connections: SETTING_UP, seconds: ms / 1000, rawRequest }, signal);
      return bed.withEndpoint(async () => {
        await load(pace.warmUpMs)();
        return underLoad(bench, system, 'request', load(pace.measureMs));
      });
    },
  };
}

function idle(bench: Bench): Scenario {
  const connections = Math.min(IDLE_CONNECTIONS, Math.floor((openFilesMax() - OTHER_FILES) / 2));
  const restingMb = new Map<string, number>();
  const short = connections < IDLE_CONNECTIONS ? `, all that "ulimit -n" allows here` : '';
  return {
    id: 'idle',
    title: `${connections} idle connections held${short}`,
    connections,
    columns: [
      { heading: 'held', figure: 'held' },
      { heading: 'RSS MB', figure: 'rssMb', digits: 1 },
      { heading: 'KB/connection', figure: 'kbPerConnection', digits: 1 },
    ],
    without: FOR_BULK,
    ratios: [{ name: 'idleKbPerConnection', figure: 'kbPerConnection', better: 'lower' }],
    measure: async (system): Promise<Measured> => {
      const before = restingMb.get(system.name) ?? memoryFigures(system.processes)['rssMb'] ?? 0;
      restingMb.set(system.name, before);
      const { figures, failure, count } = await load(bench, system, 'idle', connections);
      const grownKb = ((figures['rssMb'] ?? 0) - before) * 1000;
      return { figures: { ...figures, kbPerConnection: grownKb / count }, failure };
    },
  };
}

function load(
  bench: Bench,
  system: RunningSystem,
  kind: GatewayLoad['kind'],
  connections: number,
): ReturnType<typeof underLoad> {
  const { bed, pace, signal } = bench;
  const job: GatewayLoad = {
    kind,
    entry: system.entry,
    endpoint: bed.endpoint,
    serverName: bed.serverName,
    connections,
    warmUpMs: pace.warmUpMs,
    measureMs: pace.measureMs,
  };
  const plannedMs = pace.warmUpMs + pace.measureMs + (kind === 'idle' ? IDLE_OPEN_MS : 0);
  return underLoad(bench, system, kind === 'bulk' ? 'byte' : 'request', () =>
    runGenerator(bed.placement.load, 'gateway-main', job, plannedMs, signal),
  );
}

/** Node raises its own soft limit to the hard one at start, and children inherit it. */
function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
