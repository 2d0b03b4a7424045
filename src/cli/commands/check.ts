/** `isthmus check`. */

import type { Command } from 'commander';
import { gatherFacts } from '../check/facts.ts';
import type { Finding } from '../check/finding.ts';
import { absentClusters, judge, type Truth } from '../check/truths.ts';
import { readFleet } from '../fleet.ts';
import { formatNotRunning } from '../not-running.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import { style } from '../text.ts';

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description(
      'check named truths about the mesh; each failure comes with its cause and what to do',
    )
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: { configDir: string; output: string }) => {
      const facts = await gatherFacts(readFleet(options.configDir), Date.now);
      const truths = judge(facts, Date.now());
      const holds = truths.every(truth => truth.holds);
      const notRunning = absentClusters(facts);
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify({ holds, truths, notRunning }, null, 2)}\n`
          : formatTruths(truths, notRunning),
      );
      process.exitCode = holds ? 0 : FOUND_WRONG;
    });
}

function formatTruths(truths: readonly Truth[], notRunning: readonly string[]): string {
  const lines = truths.flatMap(({ name, holds, findings }) => [
    `${holds ? style('✔', 'green') : style('✘', 'red')} ${name}`,
    ...together(findings).flatMap(({ subject, cause, next, warning }) => [
      `    ${style(subject, warning === true ? 'yellow' : 'bold')}: ${cause}`,
      style(`      → ${next}`, 'dim'),
    ]),
  ]);
  return `${lines.join('\n')}\n${formatNotRunning(notRunning)}`;
}

/** What is wrong with several in the same way is said once. */
function together(findings: readonly Finding[]): Finding[] {
  const byCause = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.cause}\n${finding.next}`;
    const first = byCause.get(key);
    const subject = first === undefined ? finding.subject : `${first.subject}, ${finding.subject}`;
    byCause.set(key, { ...finding, subject });
  }
  return [...byCause.values()];
}
