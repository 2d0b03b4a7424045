/** `isthmus enrol`. */

import type { Command } from 'commander';
import { requireSpiffeId } from '../../mesh/spiffe-id.ts';
import { enrolProxy } from '../enrol.ts';

export function addEnrolCommand(program: Command): void {
  program
    .command('enrol')
    .description(
      "make a one-time join token for a proxy; needs access to the agent's state directory",
    )
    .argument('<spiffe-id>', 'whom to admit, such as spiffe://east.example/ns/shop/sa/web')
    .requiredOption('--agent-state-dir <dir>', 'state directory of the cluster agent')
    .requiredOption(
      '--state-dir <dir>',
      "the proxy's state directory, where token and trust root are put",
    )
    .action(async (id: string, options: { agentStateDir: string; stateDir: string }) => {
      await enrolProxy({ id: requireSpiffeId(id), ...options });
      process.stdout.write(`${options.stateDir} admits one start as ${id} within 10m\n`);
    });
}
