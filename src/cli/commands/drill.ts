/** `isthmus drill`. */

import type { Command } from 'commander';
import { type ClusterName, parseClusterName } from '../../mesh/names.ts';
import { durationOption } from '../arguments.ts';
import { formatForecast, preflight, runDrill } from '../drill/drill.ts';
import { isSafe } from '../drill/preflight.ts';
import { readFleet } from '../fleet.ts';
import { configDirOption, FOUND_WRONG } from '../options.ts';

const BASELINE_MS = 3_000;

interface Options {
  readonly configDir: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly over: number;
  readonly hold: number;
}

export function addDrillCommand(program: Command): void {
  program
    .command('drill')
    .description(
      'rehearse the loss of a cluster: show where its load would go, drain it, watch, and give it back at the first sign of harm, at the end, or on Ctrl-C',
    )
    .argument('<cluster>', 'such as east', parseClusterName)
    .option('--dry-run', 'only show where the load would go, and whether there is room')
    .option('--force', 'drain even if a service has no room elsewhere')
    .addOption(durationOption('--over <duration>', 'how long the drain takes', '30s'))
    .addOption(durationOption('--hold <duration>', 'how long it stays drained', '1m'))
    .addOption(configDirOption())
    .action(async (cluster: ClusterName, options: Options) => {
      const fleet = readFleet(options.configDir);
      const say = (line: string): void => void process.stdout.write(`${line.trimEnd()}\n`);
      if (options.dryRun === true) {
        const forecasts = await preflight(fleet, cluster);
        say(formatForecast(forecasts, cluster));
        process.exitCode = forecasts.every(isSafe) ? 0 : FOUND_WRONG;
        return;
      }
      const enough = new AbortController();
      process.once('SIGINT', () => enough.abort());
      const outcome = await runDrill(fleet, {
        cluster,
        baselineMs: BASELINE_MS,
        overMs: options.over,
        holdMs: options.hold,
        isForced: options.force === true,
        say,
        signal: enough.signal,
      });
      process.exitCode = outcome === 'held' || outcome === 'ended' ? 0 : FOUND_WRONG;
    });
}
