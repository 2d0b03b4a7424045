/** What every process says of itself under `/debug/process`, for `isthmus check` to compare. */

import { statSync } from 'node:fs';
import { messageOf } from '../mesh/errors.ts';
import { unsupportedRuntime } from './metrics.ts';
import { VERSION } from './version.ts';

export interface ProcessFacts {
  /** Of Isthmus. */
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  /** Its clock, as it answers. */
  readonly nowMs: number;
  readonly startedMs: number;
  readonly stateDir: string;
  /** Why its state directory is not private, if it is not: a mode loosened after the start, say. */
  readonly stateDirProblem?: string;
  /** What runs, but should not run like this in production. */
  readonly warnings: readonly string[];
}

/** Reads them at each call. */
export function processFacts(stateDir: string, now: () => number): () => ProcessFacts {
  const startedMs = now();
  const { node } = process.versions;
  return () => {
    const nowMs = now();
    const unsupported = unsupportedRuntime(node, nowMs);
    const problem = privacyProblem(stateDir);
    return {
      version: VERSION,
      node,
      pid: process.pid,
      nowMs,
      startedMs,
      stateDir,
      ...(problem === undefined ? {} : { stateDirProblem: problem }),
      warnings: unsupported === undefined ? [] : [unsupported],
    };
  };
}

function privacyProblem(dir: string): string | undefined {
  try {
    const mode = statSync(dir).mode & 0o777;
    if ((mode & 0o077) === 0) return undefined;
    return `"${dir}" has mode ${mode.toString(8).padStart(4, '0')}: others can enter it`;
  } catch (error) {
    return messageOf(error);
  }
}
