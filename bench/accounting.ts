/**
 * What load costs the processes under test: CPU time from /proc/<pid>/stat, memory from
 * /proc/<pid>/smaps_rollup, and how much CPU strangers used meanwhile.
 */

import { readFileSync } from 'node:fs';
import { sleep } from '../src/runtime/supervise.ts';
import type { Figures } from './figures.ts';

/** Process IDs by role, such as `out`, `gateway`, `in`. */
export type Processes = Readonly<Record<string, number>>;

export interface Cost {
  /** User and system time by role. */
  readonly cpuUs: Readonly<Record<string, number>>;
  /** `rssMb`, `anonMb` of the largest process, and `memory.<role>.…` of each; the most seen. */
  readonly memory: Figures;
  /** Of one CPU: near 1 means that these processes, not the load, set the pace. */
  readonly busyShare: number;
  /** CPU time of processes that are neither ours nor the benchmark's, as a share of one CPU. */
  readonly foreignShare: number;
}

/** USER_HZ is 100 on every Linux that Node runs on (proc(5)). */
const TICK_US = 10_000;
const SAMPLE_EVERY_MS = 500;

/** Runs the load; `bystanders` are our other processes, whose CPU time is not foreign. */
export async function costOf<T>(
  processes: Processes,
  bystanders: readonly number[],
  load: () => Promise<T>,
): Promise<{ readonly outcome: T; readonly cost: Cost }> {
  const startedMs = performance.now();
  const before = readCpu(processes);
  const busyBefore = machineBusyUs() - ownUs(bystanders);
  const done = new AbortController();
  const sampling = sampleMemory(processes, done.signal);
  try {
    const outcome = await load();
    const after = readCpu(processes);
    const elapsedUs = (performance.now() - startedMs) * 1000;
    const foreignUs = machineBusyUs() - ownUs(bystanders) - busyBefore;
    done.abort();
    const cpuUs = Object.fromEntries(
      Object.keys(processes).map(role => [role, (after[role] ?? 0) - (before[role] ?? 0)]),
    );
    const busyShare = sumOf(cpuUs) / elapsedUs;
    const foreignShare = Math.max(0, foreignUs / elapsedUs);
    return { outcome, cost: { cpuUs, memory: await sampling, busyShare, foreignShare } };
  } finally {
    done.abort();
    await sampling;
  }
}

/** What load is counted in, and in which unit the CPU time of one is told. */
export type LoadUnit = keyof typeof CPU_FIGURES;
const CPU_FIGURES = {
  request: { name: 'cpuUsPerRequest', perUs: 1 },
  byte: { name: 'cpuMsPerGb', perUs: 1e6 },
} as const;

/** `cpuUsPerRequest.<role>` or `cpuMsPerGb.<role>`, and their sum as `.total`. */
export function cpuPer(unit: LoadUnit, cost: Cost, count: number): Figures {
  const { name, perUs } = CPU_FIGURES[unit];
  return Object.fromEntries(
    Object.entries({ ...cost.cpuUs, total: sumOf(cost.cpuUs) }).map(([role, us]) => [
      `${name}.${role}`,
      (us / count) * perUs,
    ]),
  );
}

export function memoryFigures(processes: Processes): Figures {
  const figures: Record<string, number> = {};
  for (const [role, pid] of Object.entries(processes)) {
    const { rssMb, anonMb } = parseSmapsRollup(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    figures[`memory.${role}.rssMb`] = rssMb;
    figures[`memory.${role}.anonMb`] = anonMb;
  }
  for (const figure of ['rssMb', 'anonMb']) {
    const each = Object.keys(processes).map(role => figures[`memory.${role}.${figure}`] ?? 0);
    if (each.length > 0) figures[figure] = Math.max(...each);
  }
  return figures;
}

/** MB are 10^6 bytes; the kernel counts in KiB. */
export function parseSmapsRollup(text: string): { rssMb: number; anonMb: number } {
  const megabytes = (key: string): number => {
    const kib = new RegExp(`^${key}:\\s+([0-9]+) kB$`, 'm').exec(text)?.[1];
    return (Number(kib) * 1024) / 1e6;
  };
  return { rssMb: megabytes('Rss'), anonMb: megabytes('Anonymous') };
}

/** `/proc/<pid>/stat`: the name in parentheses may hold anything, so fields count from its end. */
export function parseStat(text: string): { ownUs: number; waitedForUs: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number): number => Number(fields[field - 3]);
  return {
    ownUs: (ticks(14) + ticks(15)) * TICK_US,
    waitedForUs: (ticks(16) + ticks(17)) * TICK_US,
  };
}

function sumOf(cpuUs: Cost['cpuUs']): number {
  return Object.values(cpuUs).reduce((sum, us) => sum + us, 0);
}

async function sampleMemory(processes: Processes, signal: AbortSignal): Promise<Figures> {
  const most: Record<string, number> = {};
  const sample = (): void => {
    for (const [name, value] of Object.entries(memoryFigures(processes))) {
      most[name] = Math.max(most[name] ?? 0, value);
    }
  };
  while (!signal.aborted) {
    try {
      sample();
    } catch {
      break; // A process has ended; reading its CPU time after the load says so.
    }
    await sleep(SAMPLE_EVERY_MS, signal);
  }
  return most;
}

function readCpu(processes: Processes): Record<string, number> {
  return Object.fromEntries(
    Object.entries(processes).map(([role, pid]) => [role, statOf(pid).ownUs]),
  );
}

/** This process, what it has started and waited for (load generators), and its living children. */
function ownUs(children: readonly number[]): number {
  const self = statOf('self');
  const living = children.reduce((sum, pid) => sum + statOf(pid).ownUs, 0);
  return self.ownUs + self.waitedForUs + living;
}

function statOf(pid: number | 'self'): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch (cause) {
    throw new Error(`process ${pid} has ended`, { cause });
  }
}

/** User, nice, system and stolen time. Interrupts are left out: those of our own packets are in there. */
function machineBusyUs(): number {
  const [, user, nice, system, , , , , steal] = /^cpu .*$/m
    .exec(readFileSync('/proc/stat', 'utf8'))?.[0]
    .split(/\s+/)
    .map(Number) ?? [0];
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0) + (steal ?? 0)) * TICK_US;
}
