/**
 * Who runs where: the system under test alone on one CPU, load and backend on another, so that requests
 * per second at saturation are one over the CPU time that the system needs for a request.
 */

import { readFileSync } from 'node:fs';
import { findProgram, howToInstall } from './tools.ts';

export interface Placement {
  /** Put before a command line: of the system under test, and of load and backend. */
  readonly system: readonly string[];
  readonly load: readonly string[];
  /** Of load that turns without sleeping: under SCHED_IDLE, or the backend would wait for its time slice to end. */
  readonly spinningLoad: readonly string[];
  /** For the reader of the figures. */
  readonly note: string;
}

export function choosePlacement(): Placement {
  const status = readFileSync('/proc/self/status', 'utf8');
  const cpus = parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '');
  const [first, second] = cpus;
  if (first === undefined || second === undefined) {
    return unpinned(`only ${cpus.length} CPU here`);
  }
  const taskset = findProgram('taskset');
  const chrt = findProgram('chrt');
  if (taskset === undefined || chrt === undefined) {
    return unpinned(`no taskset and chrt here (${howToInstall(['taskset'])})`);
  }
  const load = [taskset, '-c', String(second)];
  return {
    system: [taskset, '-c', String(first)],
    load,
    spinningLoad: [chrt, '--idle', '0', ...load],
    note: `the system under test on CPU ${first}, load and backend on CPU ${second}`,
  };
}

function unpinned(why: string): Placement {
  return {
    system: [],
    load: [],
    spinningLoad: [],
    note: `NOT PINNED, ${why}: systems compete with load and backend, figures mean little`,
  };
}

/** `0-2,5` (proc(5), Cpus_allowed_list) to `[0, 1, 2, 5]`. */
export function parseCpuList(text: string): number[] {
  return text.split(',').flatMap(range => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    if (range === '' || Number.isNaN(first)) return [];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
