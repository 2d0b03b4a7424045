/** What every load generator reports, ours as one line of JSON. */

import { messageOf } from '../../src/mesh/errors.ts';
import type { Figures } from '../figures.ts';
import { runTool } from '../tools.ts';

export interface LoadOutcome {
  /** Requests, connections or bytes carried in all, warm-up included: what CPU time is divided by. */
  readonly count: number;
  readonly figures: Figures;
  /** What went wrong, such as `wrk: 3 status`; undefined when nothing did. */
  readonly failure: string | undefined;
}

/** One error is one too many, and so is a run in which nothing was carried. */
export function failureOf(
  generator: string,
  count: number,
  errors: Readonly<Record<string, number>>,
): string | undefined {
  const wrong = Object.entries(errors).filter(([, times]) => times > 0);
  if (wrong.length > 0) {
    return `${generator}: ${wrong.map(([kind, times]) => `${times} ${kind}`).join(', ')}`;
  }
  return count > 0 ? undefined : `${generator}: nothing was carried`;
}

/** Runs one of the `*-main.ts` here as a process of its own; its job goes in as JSON. */
export async function runGenerator(
  prefix: readonly string[],
  main: string,
  job: unknown,
  plannedMs: number,
  signal: AbortSignal,
): Promise<LoadOutcome> {
  const file = new URL(`./${main}.js`, import.meta.url).pathname;
  const [command, ...args] = [...prefix, process.execPath, file, JSON.stringify(job)];
  const output = await runTool(command, args, plannedMs / 1000, signal);
  return JSON.parse(output) as LoadOutcome;
}

/** What such a process does: runs its job and reports, also that it could not. */
export async function generate(run: (job: unknown) => Promise<LoadOutcome>): Promise<void> {
  let outcome: LoadOutcome;
  try {
    outcome = await run(JSON.parse(process.argv[2] ?? ''));
  } catch (error) {
    outcome = { count: 0, figures: {}, failure: messageOf(error) };
  }
  // Not by emptying the loop: an endpoint or a spare connection may still be open.
  process.stdout.write(JSON.stringify(outcome), () => process.exit());
}
