/** `isthmus agent --config FILE` */

import { runProcess } from '../runtime/process.ts';
import { createClusterAgent } from './cluster-agent.ts';
import { agentConfigSchema } from './config.ts';

export function main(argv: readonly string[]): Promise<never> {
  return runProcess(
    {
      component: 'agent',
      schema: agentConfigSchema,
      build: async (config, stateDir, log, configFile) => {
        const agent = await createClusterAgent({
          config,
          configFile,
          stateDir,
          log,
          now: () => Date.now(),
        });
        return agent.tasks;
      },
    },
    argv,
  );
}
