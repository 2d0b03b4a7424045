/** One path from start to end: find the programs, start every system, measure, report, leave nothing. */

import { aborted } from '../src/runtime/supervise.ts';
import { openBed } from './bed.ts';
import type { BenchPath, SystemName } from './paths/path.ts';
import { formatNoise, formatRatios, formatScenario } from './report.ts';
import { OURS, type Result, ratiosOf, toJson } from './results.ts';
import { type Bench, contestants, type Pace, runScenario } from './scenario.ts';
import { signalAll } from './standstill.ts';
import { envoy } from './systems/envoy.ts';
import { haproxy } from './systems/haproxy.ts';
import { isthmus } from './systems/isthmus.ts';
import { nginx } from './systems/nginx.ts';
import { peerSystem } from './systems/peer.ts';
import type { RunningSystem, System } from './systems/system.ts';
import { findProgram, howToInstall, nginxStreamModule, type Program } from './tools.ts';

export interface RunOptions {
  readonly name: string;
  readonly path: BenchPath;
  readonly only: readonly string[] | undefined;
  readonly pace: Pace;
  readonly json: boolean;
}

/** True when every run was free of errors. Resolves after every process has ended. */
export async function runPath(options: RunOptions, signal: AbortSignal): Promise<boolean> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const systems = findSystems(options, say);
  const bed = await openBed({ nginx: need('nginx'), openssl: need('openssl') }, signal);
  try {
    const measuring = measurePath(options, { bed, pace: options.pace, signal, say }, systems);
    const finished = await Promise.race([measuring, aborted(signal).then(() => undefined)]);
    signal.throwIfAborted();
    return finished ?? false;
  } finally {
    await bed.close();
  }
}

async function measurePath(
  { name, path, json }: RunOptions,
  bench: Bench,
  systems: readonly System[],
): Promise<boolean> {
  const { bed, signal, say } = bench;
  say(`placement: ${bed.placement.note}`);
  const running: RunningSystem[] = [];
  for (const system of systems) {
    say(`starting ${system.name}`);
    const others = new Set(bed.processIds());
    const started = await system.start(bed, path.topology);
    const all = bed.processIds().filter(pid => !others.has(pid));
    signalAll(all, 'SIGSTOP');
    running.push({ ...started, all });
    signal.throwIfAborted();
  }
  const directEntry = path.topology === 'gateway' ? bed.endpoint : bed.backend;
  const results: Result[] = [];
  const ratios: Record<string, number> = {};
  const scenarios = path.scenarios(bench);
  for (const scenario of scenarios) {
    const measured = await runScenario(
      bench,
      name,
      scenario,
      contestants(scenario, running, directEntry),
    );
    results.push(...measured);
    Object.assign(ratios, ratiosOf(measured, scenario.ratios));
    process.stdout.write(`${formatScenario(scenario, measured)}\n`);
  }
  const rules = scenarios.flatMap(scenario => scenario.ratios);
  process.stdout.write(`${formatRatios(ratios, rules)}\n\n`);
  process.stdout.write(`Placement: ${bed.placement.note}.\n${formatNoise(results)}\n`);
  if (json) process.stdout.write(`${JSON.stringify(toJson(results, ratios))}\n`);
  return results.every(result => result.failure === undefined);
}

/** Those of the path that are wanted and here; says what to install for the others. */
function findSystems({ path, only }: RunOptions, say: Bench['say']): System[] {
  need('wrk');
  const found: System[] = [];
  const missing: Program[] = [];
  for (const name of path.systems) {
    if (only !== undefined && !only.includes(name)) continue;
    const program = PROGRAM_OF[name];
    const system = findSystem(name);
    if (system !== undefined) found.push(system);
    else if (program !== undefined && !missing.includes(program)) missing.push(program);
  }
  for (const program of missing) {
    say(`going on without ${program}; to compare with it: ${howToInstall([program])}`);
  }
  if (found.every(({ name }) => name === OURS) && missing.length > 0) {
    throw new Error(`nothing to compare with; ${howToInstall(missing)}`);
  }
  return found;
}

const PROGRAM_OF: Readonly<Record<SystemName, Program | undefined>> = {
  isthmus: undefined,
  haproxy: 'haproxy',
  haproxyH2: 'haproxy',
  haproxySplice: 'haproxy',
  haproxy256k: 'haproxy',
  nginx: 'nginx',
  nginx256k: 'nginx',
  envoy: 'envoy',
};

const LARGE_BUFFER_BYTES = 256 * 1024;

/** Undefined when its program, or a part of it, is not here. */
export function findSystem(name: SystemName): System | undefined {
  const needed = PROGRAM_OF[name];
  const program = needed === undefined ? '' : findProgram(needed);
  if (program === undefined) return undefined;
  switch (name) {
    case 'isthmus':
      return isthmus;
    case 'haproxy':
      return peerSystem(haproxy(program, { name }));
    case 'haproxyH2':
      return peerSystem(haproxy(program, { name, alpn: 'h2' }));
    case 'haproxySplice':
      return peerSystem(haproxy(program, { name, splice: true }));
    case 'haproxy256k':
      return peerSystem(haproxy(program, { name, bufferBytes: LARGE_BUFFER_BYTES }));
    case 'nginx':
    case 'nginx256k': {
      const streamModule = nginxStreamModule(program);
      if (streamModule === undefined) return undefined;
      const buffers = name === 'nginx' ? {} : { gatewayBufferBytes: LARGE_BUFFER_BYTES };
      return peerSystem(nginx(program, streamModule, { name, ...buffers }));
    }
    case 'envoy':
      return peerSystem(envoy(program));
  }
}

/** Throws with what to install. */
function need(program: Program): string {
  const found = findProgram(program);
  if (found === undefined) {
    throw new Error(`no "${program}" here, which every run needs; ${howToInstall([program])}`);
  }
  return found;
}
