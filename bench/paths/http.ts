/**
 * The two paths that carry requests, and their scenarios: closed loop to see how much each system can
 * carry, open loop at a fixed rate to see how long a request takes when it is not pressed.
 */

import type { OpenLoop } from '../load/open-loop.ts';
import { runGenerator } from '../load/outcome.ts';
import { type HttpTarget, untilServed } from '../load/target.ts';
import { runWrk } from '../load/wrk.ts';
import type { Bench, Column, Measured, Scenario } from '../scenario.ts';
import { underLoad } from '../scenario.ts';
import { CALLEE_HOST } from '../systems/isthmus.ts';
import { BACKEND_BODIES } from '../systems/nginx.ts';
import type { RunningSystem } from '../systems/system.ts';
import type { BenchPath, SystemName } from './path.ts';

const SYSTEMS: readonly SystemName[] = ['isthmus', 'haproxy', 'haproxyH2', 'nginx', 'envoy'];
const OPEN_LOOP_CONNECTIONS = 32;

export const chain: BenchPath = {
  topology: 'chain',
  systems: SYSTEMS,
  scenarios: bench => [
    closedLoop(bench, ['out', 'gateway', 'in'], 'c50', 50, '/1k', 'rps50'),
    closedLoop(bench, ['out', 'gateway', 'in'], 'c4', 4, '/1k', 'rps4'),
    closedLoop(bench, ['out', 'gateway', 'in'], 'body100k', 50, '/100k', 'rps50Body100k'),
    openLoop(bench, 2_000),
    openLoop(bench, 20_000),
  ],
};

export const hop: BenchPath = {
  topology: 'hop',
  systems: SYSTEMS,
  scenarios: bench => [
    closedLoop(bench, ['out', 'in'], 'c50', 50, '/1k', 'rps50'),
    closedLoop(bench, ['out', 'in'], 'c4', 4, '/1k', 'rps4'),
    openLoop(bench, 2_000),
  ],
};

const LATENCY: readonly Column[] = [
  { heading: 'p50 µs', figure: 'p50Us' },
  { heading: 'p99 µs', figure: 'p99Us' },
  { heading: 'p99.9 µs', figure: 'p999Us' },
];

export function cpuColumns(roles: readonly string[]): Column[] {
  return [...roles, 'total'].map(role => ({
    heading: `CPU µs ${role}`,
    figure: `cpuUsPerRequest.${role}`,
    digits: 1,
  }));
}

const MEMORY: readonly Column[] = [
  { heading: 'RSS MB', figure: 'rssMb', digits: 1 },
  { heading: 'anon MB', figure: 'anonMb', digits: 1 },
];

/** As much as the system can carry over so many connections. */
function closedLoop(
  bench: Bench,
  roles: readonly string[],
  id: string,
  connections: number,
  path: keyof typeof BACKEND_BODIES,
  ratio: string,
): Scenario {
  return {
    id,
    title: `${BACKEND_BODIES[path]}-byte answers, closed loop, ${connections} connections`,
    connections,
    columns: [
      { heading: 'requests/s', figure: 'rps' },
      ...LATENCY,
      ...cpuColumns(roles),
      ...MEMORY,
    ],
    ratios: [
      { name: ratio, figure: 'rps', better: 'higher' },
      { name: ratio.replace('rps', 'p99Closed'), figure: 'p99Us', better: 'lower' },
      { name: ratio.replace('rps', 'cpu'), figure: 'cpuUsPerRequest.total', better: 'lower' },
    ],
    measure: system => measureClosedLoop(bench, system, connections, path),
  };
}

export async function measureClosedLoop(
  { bed, pace, signal, ...bench }: Bench,
  system: RunningSystem,
  connections: number,
  path: keyof typeof BACKEND_BODIES,
): Promise<Measured> {
  const target = targetOf(system, path);
  await untilServed(target, signal);
  const load = (ms: number) => () =>
    runWrk(bed, { target, connections, seconds: ms / 1000 }, signal);
  await load(pace.warmUpMs)();
  return underLoad({ bed, pace, signal, ...bench }, system, 'Request', load(pace.measureMs));
}

/** Latency at a rate that does not depend on how fast answers come. */
function openLoop(bench: Bench, ratePerSecond: number): Scenario {
  const { bed, pace, signal } = bench;
  const suffix = `Open${ratePerSecond}`;
  return {
    id: `open${ratePerSecond}`,
    title: `1024-byte answers, open loop at ${ratePerSecond}/s over ${OPEN_LOOP_CONNECTIONS} connections`,
    connections: OPEN_LOOP_CONNECTIONS,
    columns: [
      ...LATENCY,
      { heading: 'added p99 µs', figure: 'addedP99Us' },
      { heading: 'CPU µs total', figure: 'cpuUsPerRequest.total', digits: 1 },
      { heading: 'answered/s', figure: 'rps' },
    ],
    ratios: [
      { name: `p99${suffix}`, figure: 'p99Us', better: 'lower' },
      { name: `addedP99${suffix}`, figure: 'addedP99Us', better: 'lower' },
    ],
    direct: { figure: 'p99Us' },
    measure: async system => {
      const target = targetOf(system, '/1k');
      await untilServed(target, signal);
      const job: OpenLoop = {
        target,
        ratePerSecond,
        connections: OPEN_LOOP_CONNECTIONS,
        warmUpMs: pace.warmUpMs,
        measureMs: pace.measureMs,
      };
      const plannedMs = pace.warmUpMs + pace.measureMs;
      return underLoad(bench, system, 'Request', () =>
        runGenerator(bed.placement.load, 'open-loop-main', job, plannedMs, signal),
      );
    },
  };
}

function targetOf(system: RunningSystem, path: keyof typeof BACKEND_BODIES): HttpTarget {
  return {
    address: system.entry,
    hostHeader: CALLEE_HOST,
    path,
    bodyBytes: BACKEND_BODIES[path],
  };
}
