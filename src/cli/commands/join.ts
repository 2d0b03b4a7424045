/** `isthmus join` and `isthmus leave`: how a cluster becomes a member of the ClusterSet, and stops being one. */

import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { joinClusterSet } from '../../global-registry/client.ts';
import { ensurePrivateDir } from '../../runtime/state-file.ts';
import { MembershipOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/membership.ts';
import { readFleet } from '../fleet.ts';
import { operatorChannel, operatorName } from '../operator.ts';
import { configDirOption, FOUND_WRONG } from '../options.ts';

export function addJoinCommand(program: Command): void {
  program
    .command('join')
    .description('make this cluster a member, with a token from "isthmus token create"')
    .argument(
      '<token>',
      'the word that "isthmus token create" printed; "-" reads it from standard input',
    )
    .requiredOption('--state-dir <dir>', "state directory of this cluster's agent")
    .option('--replace', 'give up a membership that is there already', false)
    .action(async (word: string, options: { stateDir: string; replace: boolean }) => {
      const { stateDir, replace } = options;
      // Everyone on this machine can read the arguments of its processes.
      const token = word === '-' ? await text(process.stdin) : word;
      await ensurePrivateDir(stateDir);
      const dir = join(stateDir, 'membership');
      const svid = await joinClusterSet({ token, dir, replace, now: Date.now });
      const until = new Date(svid.notAfterMs).toISOString().slice(0, 10);
      process.stdout.write(
        `${dir} is the membership ${svid.id} until ${until}, renewed by the agent\n`,
      );
    });
}

export function addLeaveCommand(program: Command): void {
  program
    .command('leave')
    .description("end a cluster's membership and take its records out; run where the registry is")
    .argument('<cluster>', 'name of the member cluster')
    .option('--reason <text>', 'why, for those who ask later', '')
    .addOption(configDirOption())
    .action(async (cluster: string, options: { reason: string; configDir: string }) => {
      const { registry } = readFleet(options.configDir);
      const channel = await operatorChannel(registry, MembershipOperatorDefinition);
      try {
        const { reason } = options;
        const request = { cluster, reason, by: operatorName() };
        const { endMembership } = MembershipOperatorDefinition.methods;
        const { records } = await channel.unary(endMembership, request);
        process.stdout.write(
          records > 0
            ? `${cluster} has left: ${records} records removed\n`
            : `${cluster} had published nothing; a membership of that name, if there was one, is over\n`,
        );
        // Most often a name that is not quite the one that was meant.
        if (records === 0) process.exitCode = FOUND_WRONG;
      } finally {
        channel.close();
      }
    });
}
