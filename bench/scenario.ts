/**
 * A scenario is one question put to several systems. Its runs are interleaved, A B C A B C, so that a
 * machine that gets slower slows them all, and each system's result is the median of its rounds.
 */

import { messageOf } from '../src/mesh/errors.ts';
import { costOf, cpuPer, type LoadUnit } from './accounting.ts';
import { type Figures, medianFigures } from './figures.ts';
import type { LoadOutcome } from './load/outcome.ts';
import { DIRECT, OURS, type RatioRule, type Result, withAdded } from './results.ts';
import { whileAwake } from './standstill.ts';
import type { Bed, RunningSystem } from './systems/system.ts';

export interface Pace {
  readonly rounds: number;
  /** Whole seconds, for wrk. */
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface Column {
  readonly heading: string;
  readonly figure: string;
  readonly digits?: number;
}

export interface Measured {
  readonly figures: Figures;
  readonly failure: string | undefined;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly connections: number;
  readonly columns: readonly Column[];
  readonly ratios: readonly RatioRule[];
  /** Systems of the path that this one is not put to. */
  readonly without?: readonly string[];
  /** Also without any proxy; `added…` of this figure is then reported. */
  readonly direct?: { readonly figure?: string };
  measure(system: RunningSystem): Promise<Measured>;
}

export interface Bench {
  readonly bed: Bed;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Progress, to stderr at once. */
  readonly say: (line: string) => void;
}

/** A round that fails fails the system's result, and the others go on. */
export async function runScenario(
  bench: Omit<Bench, 'bed'>,
  path: string,
  scenario: Scenario,
  systems: readonly RunningSystem[],
): Promise<Result[]> {
  const rounds = new Map<string, Figures[]>(systems.map(({ name }) => [name, []]));
  const failures = new Map<string, string>();
  for (let round = 1; round <= bench.pace.rounds; round++) {
    for (const system of systems) {
      bench.signal.throwIfAborted();
      const { figures, failure } = await attempt(scenario, system);
      bench.signal.throwIfAborted();
      rounds.get(system.name)?.push(figures);
      if (failure !== undefined) failures.set(system.name, failure);
      const said = failure === undefined ? headline(scenario, figures) : `FAILED: ${failure}`;
      bench.say(`${path} ${scenario.id} ${round}/${bench.pace.rounds} ${system.name}: ${said}`);
    }
  }
  const results = systems.map(({ name }): Result => {
    const failure = failures.get(name);
    return {
      path,
      scenario: scenario.id,
      system: name,
      connections: scenario.connections,
      figures: medianFigures(rounds.get(name) ?? []),
      ...(failure === undefined ? {} : { failure }),
    };
  });
  const { figure } = scenario.direct ?? {};
  return figure === undefined ? results : withAdded(results, figure);
}

/** Runs load on a system and charges the system's processes for it. A connection or a handshake is a request. */
export async function underLoad(
  bench: Bench,
  system: RunningSystem,
  unit: LoadUnit,
  load: () => Promise<LoadOutcome>,
): Promise<Measured & { readonly count: number }> {
  const { outcome, cost } = await costOf(system.processes, bench.bed.processIds(), load);
  const { count, failure } = outcome;
  const charged =
    system.name === DIRECT
      ? {}
      : { ...cpuPer(unit, cost, count), busyPercent: cost.busyShare * 100, ...cost.memory };
  const figures = { ...outcome.figures, ...charged, foreignPercent: cost.foreignShare * 100 };
  return { figures, failure, count };
}

/** Ours first, then the peers, and the direct run last. */
export function contestants(
  scenario: Scenario,
  systems: readonly RunningSystem[],
  directEntry: RunningSystem['entry'],
): RunningSystem[] {
  const inOrder = systems
    .filter(({ name }) => scenario.without?.includes(name) !== true)
    .sort((a, b) => Number(b.name === OURS) - Number(a.name === OURS));
  const direct = {
    name: DIRECT,
    entry: directEntry,
    tcpEntry: directEntry,
    processes: {},
    all: [],
  };
  return scenario.direct === undefined ? inOrder : [...inOrder, direct];
}

async function attempt(scenario: Scenario, system: RunningSystem): Promise<Measured> {
  try {
    return await whileAwake(system, () => scenario.measure(system));
  } catch (error) {
    return { figures: {}, failure: messageOf(error) };
  }
}

/** The figure that the scenario is about: the one its first ratio compares. */
function headline({ columns, ratios }: Scenario, figures: Figures): string {
  const column = columns.find(({ figure }) => figure === ratios[0]?.figure);
  const value = column && figures[column.figure];
  return value === undefined
    ? 'done'
    : `${value.toFixed(column?.digits ?? 0)} ${column?.heading ?? ''}`;
}
