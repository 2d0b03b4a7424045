/** `isthmus agent --config FILE` */

import { runProcess } from '../runtime/process.ts';
import { createClusterAgent } from './cluster-agent.ts';
import { agentConfigSchema, servicesFileOf } from './config.ts';
import { loadServicesFile } from './discovery/services-file.ts';

export function main(argv: readonly string[]): Promise<never> {
  return runProcess(
    {
      component: 'agent',
      schema: agentConfigSchema,
      check: (config, configFile) => {
        loadServicesFile(servicesFileOf(config, configFile), config);
      },
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
