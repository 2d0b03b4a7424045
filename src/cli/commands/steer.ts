/** `isthmus drain`, `undrain`, `failover`, `failback` and `intents`: the operator's hand on the traffic. */

import type { Command } from 'commander';
import type { Intent } from '../../mesh/intent.ts';
import { type ClusterName, parseClusterName } from '../../mesh/names.ts';
import {
  durationArgument,
  durationOption,
  formatService,
  type ServiceArgument,
  serviceArgument,
} from '../arguments.ts';
import { readFleet } from '../fleet.ts';
import { formatIntents, IntentClient } from '../intents.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import { formatClock, formatDuration } from '../text.ts';

interface Options {
  readonly configDir: string;
  readonly reason: string;
}

export function addSteerCommands(program: Command): void {
  program
    .command('drain')
    .description("take a cluster's traffic away, evenly over a time; works while it is unreachable")
    .argument('<cluster>', 'such as east', parseClusterName)
    .addOption(
      durationOption('--over <duration>', 'such as 30s or 5m; 0s takes everything at once', '5m'),
    )
    .option('--reason <text>', 'why, for whoever reads the journal', '')
    .addOption(configDirOption())
    .action(async (cluster: ClusterName, options: Options & { over: number }) => {
      await IntentClient.use(readFleet(options.configDir), async intents => {
        await intents.requireCluster(cluster);
        await intents.put(
          { kind: 'drain', cluster, startMs: Date.now(), overMs: options.over },
          options.reason,
        );
      });
      process.stdout.write(
        `${cluster} is drained ${options.over === 0 ? 'at once' : `over ${formatDuration(options.over)}`}; take it back with: isthmus undrain ${cluster}\n`,
      );
    });

  program
    .command('undrain')
    .description('give a drained cluster its traffic back, at once')
    .argument('<cluster>', 'such as east', parseClusterName)
    .addOption(configDirOption())
    .action(async (cluster: ClusterName, options: Options) => {
      const existed = await IntentClient.use(readFleet(options.configDir), intents =>
        intents.delete(`drain/${cluster}`),
      );
      process.stdout.write(
        existed ? `${cluster} has its traffic back\n` : `${cluster} was not drained\n`,
      );
      process.exitCode = existed ? 0 : FOUND_WRONG;
    });

  program
    .command('failover')
    .description(
      "send a service's calls to one cluster first, for a time; then it reverts by itself",
    )
    .argument('<service>', 'such as shop/payments', serviceArgument)
    .requiredOption('--to <cluster>', 'such as west', parseClusterName)
    .requiredOption('--for <duration>', 'such as 1h', durationArgument)
    .option('--reason <text>', 'why, for whoever reads the journal', '')
    .addOption(configDirOption())
    .action(
      async (service: ServiceArgument, options: Options & { to: ClusterName; for: number }) => {
        const { to } = options;
        const untilMs = Date.now() + options.for;
        await IntentClient.use(readFleet(options.configDir), async intents => {
          await intents.requireExport(service, to);
          await intents.put({ kind: 'failover', ...service, to, untilMs }, options.reason);
        });
        const name = formatService(service);
        process.stdout.write(
          `calls of ${name} go to ${to} first until ${formatClock(untilMs)}; end it earlier with: isthmus failback ${name}\n`,
        );
      },
    );

  program
    .command('failback')
    .description('end the failover of a service before its time')
    .argument('<service>', 'such as shop/payments', serviceArgument)
    .addOption(configDirOption())
    .action(async (service: ServiceArgument, options: Options) => {
      const name = formatService(service);
      const existed = await IntentClient.use(readFleet(options.configDir), intents =>
        intents.delete(`failover/${name}`),
      );
      process.stdout.write(
        existed ? `${name} goes its usual ways\n` : `${name} was not failed over\n`,
      );
      process.exitCode = existed ? 0 : FOUND_WRONG;
    });

  program
    .command('intents')
    .description(
      'show what operators have asked of the ClusterSet: drains, failovers, ownership, revocations',
    )
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: Options & { output: string }) => {
      const intents = await IntentClient.use(readFleet(options.configDir), client => client.list());
      process.stdout.write(`${describeIntents(intents, options.output)}\n`);
    });
}

function describeIntents(intents: readonly Intent[], output: string): string {
  if (output === 'json') return JSON.stringify(intents, null, 2);
  if (intents.length > 0) return formatIntents(intents, Date.now());
  return 'no intents: every cluster and service goes its usual ways';
}
