/** `isthmus audit`: the registry's journal of federation changes. */

import type { Command } from 'commander';
import { RegistryOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/registry.ts';
import type { AuditEntry } from '../../wire/generated/isthmus/registry/v1/registry.ts';
import { readFleet } from '../fleet.ts';
import { askRegistry } from '../operator.ts';
import { configDirOption, outputOption } from '../options.ts';
import { style } from '../text.ts';

export function addAuditCommand(program: Command): void {
  program
    .command('audit')
    .description('who joined and left, what is exported, owned and intended, and what was refused')
    .option('-f, --follow', 'go on with what happens from now on')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: { configDir: string; output: string; follow?: true }) => {
      const stop = new AbortController();
      process.once('SIGINT', () => stop.abort());
      const format = options.output === 'json' ? formatJson : formatText;
      const request = { follow: options.follow === true };
      await askRegistry(readFleet(options.configDir), async channel => {
        const { audit } = RegistryOperatorDefinition.methods;
        for await (const { entry } of channel.serverStream(audit, request, stop.signal)) {
          if (entry !== undefined) process.stdout.write(format(entry));
        }
      });
    });
}

/** One line of JSON for each entry. */
function formatJson({ atMs, who, registry, changes }: AuditEntry): string {
  return `${JSON.stringify({ at: new Date(Number(atMs)).toISOString(), who, registry, changes })}\n`;
}

function formatText({ atMs, who, changes }: AuditEntry): string {
  const at = new Date(Number(atMs)).toISOString();
  return changes
    .map(({ action, subject, before, after }) => {
      const what = [before, after].filter(text => text !== '').join(style(' → ', 'dim'));
      return `${style(at, 'dim')}  ${action}  ${style(subject, 'bold')}  ${what}  ${style(`by ${who}`, 'dim')}\n`;
    })
    .join('');
}
