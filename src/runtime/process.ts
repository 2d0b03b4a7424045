/**
 * A component as an OS process: arguments, configuration, signals, exit code.
 *
 * Exit codes: 0 after a requested stop, 1 when it could not go on, 2 for bad usage or configuration.
 * The first SIGTERM or SIGINT asks for a graceful stop; a second one ends the process at once.
 */

import { parseArgs } from 'node:util';
import type * as v from 'valibot';
import { isMeshError, messageOf } from '../mesh/errors.ts';
import { loadConfig } from './config.ts';
import { onNewFault } from './faults.ts';
import { createLogger, type Logger } from './log.ts';
import { unsupportedRuntime } from './metrics.ts';
import { aborted, supervise, type Task } from './supervise.ts';

export interface ProcessSpec<S extends ConfigSchema> {
  /** As the user types it: `isthmus <component>`. */
  readonly component: string;
  readonly schema: S;
  /** Judges the other files that the configuration names; throws a MeshError. */
  readonly check?: (config: v.InferOutput<S>, configFile: string) => void;
  /** Builds everything and binds every socket; what it returns runs until the process stops. */
  readonly build: (
    config: v.InferOutput<S>,
    stateDir: string,
    log: Logger,
    /** Paths in the configuration are relative to where this file is. */
    configFile: string,
  ) => Promise<readonly Task[]>;
}

type ConfigSchema = v.BaseSchema<unknown, { readonly stateDir: string }, v.BaseIssue<unknown>>;

const OK = 0;
const FAILED = 1;
const USAGE = 2;

/** Never returns. */
export async function runProcess<S extends ConfigSchema>(
  spec: ProcessSpec<S>,
  argv: readonly string[],
): Promise<never> {
  process.exit(await exitCode(spec, argv));
}

async function exitCode<S extends ConfigSchema>(
  spec: ProcessSpec<S>,
  argv: readonly string[],
): Promise<number> {
  let options: Options;
  let config: v.InferOutput<S>;
  try {
    options = parseOptions(spec.component, argv);
    if (options.help) {
      process.stdout.write(usage(spec.component));
      return OK;
    }
    config = loadConfig(options.config, spec.schema);
    spec.check?.(config, options.config);
  } catch (error) {
    process.stderr.write(`isthmus ${spec.component}: ${messageOf(error)}\n`);
    return USAGE;
  }
  if (options.checkConfig) {
    process.stdout.write(`config file "${options.config}" is valid\n`);
    return OK;
  }
  const log = createLogger(spec.component);
  const warning = unsupportedRuntime(process.versions.node, Date.now());
  if (warning !== undefined)
    log.warn({ node: process.versions.node }, `UNSUPPORTED RUNTIME: ${warning}`);
  onNewFault(error => log.error({ stack: stackOf(error) }, 'a fault ended one connection'));
  try {
    const stop = stopSignal(log);
    // Building may wait for a peer; nothing serves yet, so a stop then needs no grace.
    const stateDir = options.stateDir ?? config.stateDir;
    const built = spec.build(config, stateDir, log, options.config);
    const tasks = await Promise.race([built, aborted(stop).then(() => [])]);
    await supervise(tasks, stop);
    log.info('stopped');
    return OK;
  } catch (error) {
    log.fatal({ error }, isMeshError(error) ? 'cannot go on' : 'unexpected failure');
    return FAILED;
  }
}

interface Options {
  readonly config: string;
  readonly stateDir: string | undefined;
  readonly checkConfig: boolean;
  readonly help: boolean;
}

function parseOptions(component: string, argv: readonly string[]): Options {
  const { values } = parseArguments(component, argv);
  if (values.config === undefined && !values.help) {
    throw new Error(`--config FILE is required\n\n${usage(component)}`);
  }
  return {
    config: values.config ?? '',
    stateDir: values['state-dir'],
    checkConfig: values['check-config'],
    help: values.help,
  };
}

function parseArguments(component: string, argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        config: { type: 'string', short: 'c' },
        'state-dir': { type: 'string' },
        'check-config': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (cause) {
    throw new Error(`${messageOf(cause)}\n\n${usage(component)}`, { cause });
  }
}

function usage(component: string): string {
  return `Usage: isthmus ${component} --config FILE [options]

Options:
  -c, --config FILE      configuration (YAML)
      --state-dir DIR    where keys and last-known-good state are kept (overrides stateDir)
      --check-config     report every problem in the configuration and exit
  -h, --help             show this help
`;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function stopSignal(log: Logger): AbortSignal {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) process.exit(FAILED);
    log.info({ signal }, 'stopping');
    stop.abort();
  };
  // Node's own answer is to open its inspector, through which every key in memory can be read.
  process.on('SIGUSR1', () => log.warn('SIGUSR1 ignored'));
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return stop.signal;
}
