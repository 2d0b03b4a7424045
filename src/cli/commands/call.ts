/** `isthmus call`. */

import type { Command } from 'commander';
import { serviceUrlArgument } from '../arguments.ts';
import { callThrough } from '../call.ts';
import { findSidecar, readFleet } from '../fleet.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import { table } from '../text.ts';

export function addCallCommand(program: Command): void {
  program
    .command('call')
    .description('send one HTTP request as a workload would, through its sidecar')
    .argument('<from>', 'calling workload, such as east/web')
    .argument('<url>', 'such as http://payments.shop.svc.clusterset.local/', serviceUrlArgument)
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (from: string, url: string, options: { configDir: string; output: string }) => {
      const result = await callThrough(
        findSidecar(readFleet(options.configDir), from).outboundHttp,
        url,
      );
      if (options.output === 'json') process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
      else {
        const rows = Object.entries({
          status: String(result.status),
          took: `${result.durationMs.toFixed(1)} ms`,
          ...result.upstream,
        });
        process.stderr.write(`${table(['CALL', url], rows)}\n\n`);
        process.stdout.write(result.body.endsWith('\n') ? result.body : `${result.body}\n`);
      }
      process.exitCode = result.status < 400 ? 0 : FOUND_WRONG;
    });
}
