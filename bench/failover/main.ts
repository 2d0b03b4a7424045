/** `npm run bench -- failover`: its table and its JSON. */

import { table } from '../../src/cli/text.ts';
import { runFailover } from './failover.ts';
import { canMakeNamespace, isInside, runInside } from './namespace.ts';
import type { CaseResult } from './result.ts';

export interface FailoverOptions {
  readonly quick: boolean;
  readonly json: boolean;
  /** Only faults with this in their name. */
  readonly only: string | undefined;
}

/** True when every goal was met. */
export async function benchFailover(
  options: FailoverOptions,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isInside() && canMakeNamespace()) return (await runInside(signal)) === 0;
  if (!isInside()) {
    process.stderr.write(
      'no right to make a network namespace: faults that drop packets are left out\n',
    );
  }
  const cases: CaseResult[] = [];
  const held = await runFailover(
    options,
    result => {
      cases.push(result);
      process.stderr.write(`${result.held ? 'held' : 'MISSED'}  ${JSON.stringify(result)}\n`);
    },
    signal,
  );
  process.stdout.write(`${formatCases(cases)}\n`);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ cases })}\n`);
  }
  return held;
}

function formatCases(cases: readonly CaseResult[]): string {
  const ms = (value: number | null): string => (value === null ? '-' : value.toLocaleString('en'));
  return table(
    ['FAULT', 'DETECTED ms', 'MOVED ms', 'SENT', 'FAILED', 'OF THEM GET', 'RETURN ms', 'GOALS'],
    cases.map(each => [
      each.fault,
      ms(each.detectMs),
      ms(each.movedMs),
      ms(each.sent),
      ms(each.failed),
      ms(each.failedIdempotent),
      ms(each.returnMs),
      each.held ? 'held' : 'MISSED',
    ]),
  );
}
