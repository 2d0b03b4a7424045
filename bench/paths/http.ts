/**
 * What is asked of sidecars that carry requests: closed loop to see how much each system can carry, open
 * loop at a fixed rate to see how long a request takes when it is not pressed.
 */

import type { OpenLoop } from '../load/open-loop.ts';
import { runGenerator } from '../load/outcome.ts';
import { type HttpTarget, untilServed } from '../load/target.ts';
import { type ClosedLoad, runWrk } from '../load/wrk.ts';
import type { Bench, Column, Measured, Scenario } from '../scenario.ts';
import { underLoad } from '../scenario.ts';
import { CALLEE_HOST } from '../systems/isthmus.ts';
import { BACKEND_BODIES } from '../systems/nginx.ts';
import type { RunningSystem } from '../systems/system.ts';

type BackendPath = keyof typeof BACKEND_BODIES;

const OPEN_LOOP_CONNECTIONS = 32;

export const LATENCY: readonly Column[] = [
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

export const MEMORY: readonly Column[] = [
  { heading: 'RSS MB', figure: 'rssMb', digits: 1 },
  { heading: 'anon MB', figure: 'anonMb', digits: 1 },
];

/** As much as the system can carry over so many connections. */
export function closedLoop(
  bench: Bench,
  roles: readonly string[],
  id: string,
  connections: number,
  path: BackendPath,
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
    measure: system => measureClosedLoop(bench, system, { connections, path }),
  };
}

export async function measureClosedLoop(
  bench: Bench,
  system: RunningSystem,
  { path, ...how }: { readonly path: BackendPath } & Pick<ClosedLoad, 'connections' | 'closing'>,
): Promise<Measured> {
  const { bed, pace, signal } = bench;
  const target = targetOf(system, path);
  await untilServed(target, signal);
  const load = (ms: number) => () => runWrk(bed, { target, ...how, seconds: ms / 1000 }, signal);
  await load(pace.warmUpMs)();
  return underLoad(bench, system, 'request', load(pace.measureMs));
}

/** Latency at a rate that does not depend on how fast answers come. */
export function openLoop(bench: Bench, ratePerSecond: number): Scenario {
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
      return underLoad(bench, system, 'request', () =>
        runGenerator(bed.placement.spinningLoad, 'open-loop-main', job, plannedMs, signal),
      );
    },
  };
}

export function targetOf(system: RunningSystem, path: BackendPath): HttpTarget {
  return {
    address: system.entry,
    hostHeader: CALLEE_HOST,
    path,
    bodyBytes: BACKEND_BODIES[path],
  };
}
