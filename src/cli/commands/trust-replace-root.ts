/** `isthmus trust replace-root`: the way out when a root has expired; works with nothing running. */

import { join } from 'node:path';
import type { Command } from 'commander';
import { MeshError } from '../../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../../mesh/names.ts';
import { OPERATOR_SOCKET } from '../../runtime/operator-socket.ts';
import { isServed } from '../../runtime/rpc-socket.ts';
import { replaceRoot } from '../../trust-federation/authority/replace-root.ts';
import { trustGroup } from './trust.ts';

interface Options {
  readonly agentStateDir: string;
  readonly reason: string;
}

export function addTrustReplaceRootCommand(program: Command): void {
  trustGroup(program)
    .command('replace-root')
    .argument('<cluster>', 'whose root', parseClusterName)
    .description('make a new root while the agent is stopped; for a root that has expired')
    .requiredOption('--agent-state-dir <dir>', "the stopped agent's state directory")
    .option('--reason <text>', 'why; kept in the journal', 'the root has expired')
    .action(async (cluster: ClusterName, { agentStateDir, reason }: Options) => {
      if (await isServed(join(agentStateDir, OPERATOR_SOCKET))) {
        throw new MeshError(
          'STATE_LOCKED',
          `the agent with "${agentStateDir}" is running; stop it first, or use "isthmus trust rollover start"`,
        );
      }
      await replaceRoot({ stateDir: agentStateDir, cluster, reason, now: () => Date.now() });
      process.stdout.write(
        `${cluster} has a new root. Now, in this order:
  1. start the agent
  2. for each proxy of ${cluster}: isthmus enrol SPIFFE-ID --agent-state-dir DIR --state-dir DIR, then restart it
  3. isthmus trust rollover advance ${cluster} (twice, to take the old root out of the bundle)
`,
      );
    });
}
