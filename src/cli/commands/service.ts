/** `isthmus service own|disown|approve|list`: which clusters may back a service. */

import type { Command } from 'commander';
import { parseClusterName } from '../../mesh/names.ts';
import { RegistryOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/registry.ts';
import { formatService, type ServiceArgument, serviceArgument } from '../arguments.ts';
import { readFleet } from '../fleet.ts';
import { askRegistry, operatorName } from '../operator.ts';
import { configDirOption, outputOption } from '../options.ts';
import { table } from '../text.ts';

const { methods } = RegistryOperatorDefinition;

interface ChangeOptions {
  readonly configDir: string;
  readonly reason: string;
}

export function addServiceCommands(program: Command): void {
  const service = program
    .command('service')
    .description('say which clusters may back a service, and see which do');
  const argument = ['<service>', 'such as shop/payments'] as const;
  const reason = ['--reason <text>', 'why, for the journal', ''] as const;

  service
    .command('own')
    .description('let exactly these clusters back the service, whoever exported it first')
    .argument(...argument, serviceArgument)
    .requiredOption('--clusters <names>', 'such as west,eu', clusterList)
    .option(...reason)
    .addOption(configDirOption())
    .action(async (name: ServiceArgument, options: ChangeOptions & { clusters: string[] }) => {
      const { clusters } = options;
      const services = await askRegistry(readFleet(options.configDir), async channel => {
        await channel.unary(methods.ownService, { ...asked(name, options), clusters });
        return (await channel.unary(methods.listServices, {})).services;
      });
      const service = formatService(name);
      const exporters = services.find(each => each.service === service)?.exporters ?? [];
      const waiting = namesOf(exporters.filter(each => each.waiting !== ''));
      say(`${service} may be backed by ${clusters.join(', ')} and nobody else`);
      if (waiting !== '') say(`it is exported, and now backed no longer, by ${waiting}`);
    });

  service
    .command('disown')
    .description('take back what was said: the first cluster to export the service has it')
    .argument(...argument, serviceArgument)
    .addOption(configDirOption())
    .action(async (name: ServiceArgument, options: ChangeOptions) => {
      const { existed } = await askRegistry(readFleet(options.configDir), channel =>
        channel.unary(methods.disownService, asked(name, options)),
      );
      say(
        existed
          ? `${formatService(name)} belongs to whoever exported it first`
          : `nothing had been said of ${formatService(name)}`,
      );
    });

  service
    .command('approve')
    .description('let a cluster that waits back the service too')
    .argument(...argument, serviceArgument)
    .requiredOption('--cluster <name>', 'the cluster that waits', parseClusterName)
    .option(...reason)
    .addOption(configDirOption())
    .action(async (name: ServiceArgument, options: ChangeOptions & { cluster: string }) => {
      const { clusters } = await askRegistry(readFleet(options.configDir), channel =>
        channel.unary(methods.approveExport, { ...asked(name, options), cluster: options.cluster }),
      );
      say(`${formatService(name)} is backed by ${clusters.join(', ')}`);
    });

  service
    .command('list')
    .description('every exported or owned service, who backs it and who waits, and why')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: { configDir: string; output: string }) => {
      const { services } = await askRegistry(readFleet(options.configDir), channel =>
        channel.unary(methods.listServices, {}),
      );
      if (options.output === 'json') {
        say(JSON.stringify(services, null, 2));
        return;
      }
      const rows = services.map(({ service: name, owned, owners, exporters }) => [
        name,
        owned ? owners.join(', ') || 'nobody' : 'first to export',
        namesOf(exporters.filter(({ waiting }) => waiting === '')),
        namesOf(exporters.filter(({ waiting }) => waiting !== '')),
      ]);
      say(table(['SERVICE', 'OWNERS', 'BACKED BY', 'WAITING'], rows));
    });
}

/** What every change says: which service, why, and who asks. */
function asked(
  { namespace, name }: ServiceArgument,
  { reason }: { readonly reason?: string },
): { namespace: string; service: string; reason: string; by: string } {
  return { namespace, service: name, reason: reason ?? '', by: operatorName() };
}

function namesOf(exporters: readonly { readonly cluster: string }[]): string {
  return exporters
    .map(({ cluster }) => cluster)
    .sort()
    .join(', ');
}

function clusterList(text: string): string[] {
  return text.split(',').map(name => parseClusterName(name.trim()));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
