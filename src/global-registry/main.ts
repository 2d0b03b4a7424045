/** `isthmus registry`: the global registry as a process. */

import { runProcess } from '../runtime/process.ts';
import { registryConfigSchema } from './config.ts';
import { createRegistry } from './registry.ts';

export async function main(argv: readonly string[]): Promise<void> {
  await runProcess(
    {
      component: 'registry',
      schema: registryConfigSchema,
      build: async (config, stateDir, log, configFile) =>
        (await createRegistry(config, stateDir, log, configFile)).tasks,
    },
    argv,
  );
}
