/** Memory of each process of the chain with the demo's configuration: at rest, and the most under load. */

import { sleep } from '../../src/runtime/supervise.ts';
import { memoryFigures } from '../accounting.ts';
import type { Bench, Column, Scenario } from '../scenario.ts';
import { chain } from './chain.ts';
import { measureClosedLoop } from './http.ts';
import type { BenchPath } from './path.ts';

const SETTLE_MS = 2_000;
const CONNECTIONS = 50;

export const memory: BenchPath = {
  topology: 'chain',
  systems: chain.systems,
  scenarios: bench => [idle(), loaded(bench)],
};

const COLUMNS: readonly Column[] = ['out', 'gateway', 'in'].flatMap(role => [
  { heading: `${role} RSS MB`, figure: `memory.${role}.rssMb`, digits: 1 },
  { heading: `anon MB`, figure: `memory.${role}.anonMb`, digits: 1 },
]);

function idle(): Scenario {
  return {
    id: 'idle',
    title: 'memory before any load',
    connections: 0,
    columns: COLUMNS,
    ratios: ratios('Idle'),
    measure: async system => {
      await sleep(SETTLE_MS);
      return { figures: memoryFigures(system.processes), failure: undefined };
    },
  };
}

function loaded(bench: Bench): Scenario {
  return {
    id: 'loaded',
    title: `the most memory under load, ${CONNECTIONS} connections as fast as they can`,
    connections: CONNECTIONS,
    columns: [...COLUMNS, { heading: 'requests/s', figure: 'rps' }],
    ratios: ratios('Loaded'),
    measure: system => measureClosedLoop(bench, system, { connections: CONNECTIONS, path: '/1k' }),
  };
}

function ratios(when: string): Scenario['ratios'] {
  return [
    { name: `rss${when}`, figure: 'memory.out.rssMb', better: 'lower' },
    { name: `anon${when}`, figure: 'memory.out.anonMb', better: 'lower' },
  ];
}
