/** `isthmus unfreeze`: go on with a store that has gone back in time. */

import type { Command } from 'commander';
import { RegistryOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/registry.ts';
import { readFleet } from '../fleet.ts';
import { askRegistry, operatorName } from '../operator.ts';
import { configDirOption } from '../options.ts';

export function addUnfreezeCommand(program: Command): void {
  program
    .command('unfreeze')
    .description(
      "use what the registry's store holds now, although it was restored from a backup or replaced",
    )
    .addOption(configDirOption())
    .action(async (options: { configDir: string }) => {
      const { wrong } = await askRegistry(readFleet(options.configDir), channel =>
        channel.unary(RegistryOperatorDefinition.methods.confirmStore, { by: operatorName() }),
      );
      const found =
        wrong === '' ? 'the registry was not frozen' : `the registry was frozen: ${wrong}`;
      process.stdout.write(
        `${found}; every registry process and agent now starts from what the store holds\n`,
      );
    });
}
