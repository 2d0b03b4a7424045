/** The `isthmus` command. Components are dispatched by `bin/isthmus.js`; each other command is in `commands/`. */

import { readFileSync } from 'node:fs';
import { Command, Help, type Option } from 'commander';
import { type ErrorCode, isMeshError, messageOf } from '../mesh/errors.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addCallCommand } from './commands/call.ts';
import { addCheckCommand } from './commands/check.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addDrillCommand } from './commands/drill.ts';
import { addEnrolCommand } from './commands/enrol.ts';
import { addInitCommand } from './commands/init.ts';
import { addJoinCommand, addLeaveCommand } from './commands/join.ts';
import { addServiceCommands } from './commands/service.ts';
import { addStatusCommand } from './commands/status.ts';
import { addSteerCommands } from './commands/steer.ts';
import { addTokenCommand } from './commands/token.ts';
import { addTrustExportCommand } from './commands/trust-export.ts';
import { addTrustImportCommand } from './commands/trust-import.ts';
import { addTrustReplaceRootCommand } from './commands/trust-replace-root.ts';
import { addTrustRevokeCommands } from './commands/trust-revoke.ts';
import { addTrustRolloverCommands } from './commands/trust-rollover.ts';
import { addTrustShowCommands } from './commands/trust-show.ts';
import { addUnfreezeCommand } from './commands/unfreeze.ts';
import { FOUND_WRONG, PACKAGE_ROOT, USAGE } from './options.ts';
import { style } from './text.ts';

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'NAME_INVALID',
]);

export async function main(argv: readonly string[]): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    process.stderr.write(`${style('error:', 'red')} ${messageOf(error)}\n`);
    process.exitCode = isMeshError(error) && USAGE_CODES.has(error.code) ? USAGE : FOUND_WRONG;
  }
}

function createProgram(): Command {
  const program = new Command('isthmus')
    .description('One mesh over many clusters: call a service by name, wherever it runs.')
    .version(packageVersion(), '-v, --version')
    .configureHelp({ optionDescription: describeOption })
    .showHelpAfterError('(run with --help for usage)')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, style('error:', 'red'))),
    })
    .exitOverride(error => process.exit(error.exitCode === 0 ? 0 : USAGE))
    .addHelpText(
      'after',
      `\nComponents, each an own process (--config FILE, --check-config, --help):
  registry           the global registry
  agent              a cluster's local control plane
  gateway            a cluster's east-west gateway
  sidecar            the proxy beside one workload`,
    );

  addDemoCommand(program);
  addInitCommand(program);
  addTokenCommand(program);
  addJoinCommand(program);
  addLeaveCommand(program);
  addEnrolCommand(program);
  addStatusCommand(program);
  addCheckCommand(program);
  addTrustRolloverCommands(program);
  addTrustReplaceRootCommand(program);
  addTrustRevokeCommands(program);
  addCallCommand(program);
  addSteerCommands(program);
  addDrillCommand(program);
  addServiceCommands(program);
  addAuditCommand(program);
  addUnfreezeCommand(program);
  addTrustShowCommands(program);
  addTrustExportCommand(program);
  addTrustImportCommand(program);
  return program;
}

/** As commander has it, but with what is required, and without defaults that say nothing. */
function describeOption(option: Option): string {
  if (option.mandatory) return `${option.description} (required)`;
  const { defaultValue } = option as { readonly defaultValue: unknown };
  const isSilent =
    defaultValue === '' ||
    defaultValue === false ||
    (Array.isArray(defaultValue) && defaultValue.length === 0);
  return isSilent ? option.description : new Help().optionDescription(option);
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(`${PACKAGE_ROOT}package.json`, 'utf8')) as {
    version: string;
  };
  return version;
}
