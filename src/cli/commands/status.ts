/** `isthmus status`. */

import type { Command } from 'commander';
import { readFleet } from '../fleet.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import { formatStatus, gatherStatus } from '../status.ts';

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show clusters, exports, gateways and proxies, and what is stale since when')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: { configDir: string; output: string }) => {
      const report = await gatherStatus(readFleet(options.configDir), Date.now());
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : formatStatus(report),
      );
      process.exitCode = report.current ? 0 : FOUND_WRONG;
    });
}
