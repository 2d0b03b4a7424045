/** The `isthmus` command: demo, init, status, call. Components are dispatched by `bin/isthmus.js`. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ErrorCode, isMeshError, messageOf } from '../mesh/errors.ts';
import { requireSpiffeId } from '../mesh/spiffe-id.ts';
import { callThrough } from './call.ts';
import type { DemoOptions } from './demo/demo.ts';
import { enrolProxy } from './enrol.ts';
import { findSidecar, readFleet } from './fleet.ts';
import { initClusterSetDir } from './init.ts';
import { formatStatus, gatherStatus } from './status.ts';
import { style, table } from './text.ts';

/** 0 as asked, 1 it ran and found something wrong, 2 it could not be understood. */
const FOUND_WRONG = 1;
const USAGE = 2;
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'NAME_INVALID',
]);

const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

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

  const configDir = (): Option =>
    new Option('--config-dir <dir>', 'folder with registry.yaml and a folder per cluster').default(
      `${PACKAGE_ROOT}clusters`,
      'clusters',
    );
  const output = (): Option =>
    new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text');

  program
    .command('demo')
    .description('start two clusters on this machine and tell their story')
    .option('--check', 'run the story once, exit 0 only if every step held, leave nothing behind')
    .option('--json', "print each step's evidence as a JSON line")
    .option('--etcd', 'keep the registry in a real etcd instead of the embedded store')
    .addOption(
      new Option('--clusters <n>', 'how many clusters: 2 (east, west) or 3 (and eu)')
        .argParser(clusterCount)
        .default(2),
    )
    .addOption(configDir())
    .action(async (options: DemoOptions) => {
      const { runDemo } = await import('./demo/demo.ts');
      process.exitCode = (await runDemo(options)) ? 0 : FOUND_WRONG;
    });

  program
    .command('init')
    .description(
      'make the ClusterSet authority and the credentials of the registry and its clusters',
    )
    .argument('<dir>', 'folder to make; refused when it already holds an authority')
    .requiredOption(
      '--cluster-set <trust-domain>',
      'trust domain of the ClusterSet, such as clusterset.example',
    )
    .requiredOption('--cluster <names...>', 'member clusters, such as east west')
    .action(async (dir: string, options: { clusterSet: string; cluster: string[] }) => {
      process.stdout.write(await initClusterSetDir(dir, options.clusterSet, options.cluster));
    });

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

  program
    .command('status')
    .description('show clusters, exports, gateways and proxies, and what is stale since when')
    .addOption(configDir())
    .addOption(output())
    .action(async (options: { configDir: string; output: string }) => {
      const report = await gatherStatus(readFleet(options.configDir), Date.now());
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(report, null, 2)}\n` : formatStatus(report),
      );
      process.exitCode = report.current ? 0 : FOUND_WRONG;
    });

  program
    .command('call')
    .description('send one HTTP request as a workload would, through its sidecar')
    .argument('<from>', 'calling workload, such as east/web')
    .argument('<url>', 'such as http://payments.shop.svc.clusterset.local/')
    .addOption(configDir())
    .addOption(output())
    .action(async (from: string, url: string, options: { configDir: string; output: string }) => {
      if (!/^http:\/\//.test(url) || !URL.canParse(url)) {
        throw new Error(
          `URL ${JSON.stringify(url)} must start with http:// and name a service, such as http://payments.shop.svc.clusterset.local/`,
        );
      }
      const result = await callThrough(
        findSidecar(readFleet(options.configDir), from).outboundHttp,
        url,
      );
      if (options.output === 'json') process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
      else {
        const rows = Object.entries({
          status: String(result.status),
          took: `${result.durationMs.toFixed(1)} ms`,
          ...result.upstream,
        });
        process.stderr.write(`${table(['UPSTREAM', ''], rows)}\n\n`);
        process.stdout.write(result.body.endsWith('\n') ? result.body : `${result.body}\n`);
      }
      process.exitCode = result.status < 400 ? 0 : FOUND_WRONG;
    });

  return program;
}

function clusterCount(text: string): number {
  if (text === '2' || text === '3') return Number(text);
  throw new InvalidArgumentError('Use 2 (east, west) or 3 (and eu).');
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(`${PACKAGE_ROOT}package.json`, 'utf8')) as {
    version: string;
  };
  return version;
}
