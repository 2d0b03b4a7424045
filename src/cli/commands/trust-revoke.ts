/** `isthmus trust revoke|restore ID|CLUSTER` and `isthmus trust list`. */

import type { Command } from 'commander';
import { parseClusterName } from '../../mesh/names.ts';
import { requireSpiffeId } from '../../mesh/spiffe-id.ts';
import { readFleet } from '../fleet.ts';
import { operatorName } from '../operator.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import {
  formatRevocations,
  gatherRevocations,
  judgeCluster,
  judgeIdentity,
} from '../revocation.ts';
import { trustGroup } from './trust.ts';

const SUBJECT = 'a SPIFFE ID, such as spiffe://east.example/ns/shop/sa/web, or a cluster';

interface Options {
  readonly configDir: string;
  readonly output: string;
  readonly reason: string;
}

export function addTrustRevokeCommands(program: Command): void {
  const trust = trustGroup(program);
  trust
    .command('revoke')
    .description('refuse an identity or a whole cluster everywhere, and cut its connections')
    .argument('<subject>', SUBJECT)
    .requiredOption('--reason <text>', 'why; shown by "isthmus trust list"')
    .addOption(configDirOption())
    .action((subject: string, options: Options) => judge(subject, true, options));
  trust
    .command('restore')
    .description('undo a revocation')
    .argument('<subject>', SUBJECT)
    .option('--reason <text>', 'why', '')
    .addOption(configDirOption())
    .action((subject: string, options: Options) => judge(subject, false, options));
  trust
    .command('list')
    .description('what is revoked, who has heard of it, and how long others may still be exposed')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: Options) => {
      const report = await gatherRevocations(readFleet(options.configDir));
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(report, null, 2)}\n`
          : formatRevocations(report, Date.now()),
      );
      const behind = report.revocations.some(({ lacking }) => lacking.length > 0);
      if (behind || report.unreachable.length > 0) process.exitCode = FOUND_WRONG;
    });
}

async function judge(subject: string, revoked: boolean, options: Options): Promise<void> {
  const fleet = readFleet(options.configDir);
  const { reason } = options;
  if (subject.startsWith('spiffe://')) {
    await judgeIdentity(fleet, requireSpiffeId(subject), revoked, reason);
  } else {
    await judgeCluster(fleet, parseClusterName(subject), revoked, reason, operatorName());
  }
  process.stdout.write(
    `${subject} is ${revoked ? 'revoked' : 'restored'}; "isthmus trust list" shows who has heard of it\n`,
  );
}
