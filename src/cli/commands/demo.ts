/** `isthmus demo`. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DemoOptions } from '../demo/demo.ts';
import { configDirOption, FOUND_WRONG } from '../options.ts';

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('start two clusters on this machine and tell their story')
    .option('--check', 'run the story once, exit 0 only if every step held, leave nothing behind')
    .option('--rollover', "replace a cluster's root under traffic, every step with its proof")
    .option('--json', "print each step's evidence as a JSON line")
    .option('--etcd', 'keep the registry in a real etcd instead of the embedded store')
    .addOption(
      new Option('--clusters <n>', 'how many clusters: 2 (east, west) or 3 (and eu)')
        .argParser(clusterCount)
        .default(2),
    )
    .addOption(configDirOption())
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('../demo/demo.ts');
      process.exitCode = (await runDemo(options)) ? 0 : FOUND_WRONG;
    });
}

function clusterCount(text: string): number {
  if (text === '2' || text === '3') return Number(text);
  throw new InvalidArgumentError('Use 2 (east, west) or 3 (and eu).');
}
