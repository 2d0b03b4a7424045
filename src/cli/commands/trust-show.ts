/** `isthmus trust show|check`: the certificates behind each cluster's trust, and what is wrong with them. */

import type { Command } from 'commander';
import { readFleet } from '../fleet.ts';
import { formatNotRunning } from '../not-running.ts';
import { configDirOption, FOUND_WRONG, outputOption } from '../options.ts';
import { formatDuration, style, table } from '../text.ts';
import {
  type CertificateFacts,
  gatherTrust,
  type TrustProblem,
  type TrustReport,
} from '../trust-material.ts';
import { trustGroup } from './trust.ts';

interface Options {
  readonly configDir: string;
  readonly output: string;
}

export function addTrustShowCommands(program: Command): void {
  const trust = trustGroup(program);
  trust
    .command('show')
    .description('chains, expiries, bundles, and who trusts whom')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async ({ configDir, output }: Options) => {
      const nowMs = Date.now();
      const report = await gatherTrust(readFleet(configDir), nowMs);
      print(output, report, () => formatTrust(report, nowMs));
    });
  trust
    .command('check')
    .description(
      'exit 1 if a root ends within 30 days, or anything is expired, behind or different',
    )
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async ({ configDir, output }: Options) => {
      const { clusters, problems, notRunning } = await gatherTrust(
        readFleet(configDir),
        Date.now(),
      );
      print(
        output,
        { problems, notRunning },
        () => formatProblems(problems, clusters.length) + formatNotRunning(notRunning),
      );
      if (problems.length > 0) process.exitCode = FOUND_WRONG;
    });
}

export function formatTrust(
  { clusters, problems, notRunning }: TrustReport,
  nowMs: number,
): string {
  const certificates = clusters.flatMap(({ cluster, agentChain, membershipChain, bundles }) => [
    ...bundles.slice(0, 1).flatMap(({ roots }) => roots.map(row(cluster, 'root', nowMs))),
    ...agentChain.slice(1).map(row(cluster, 'issuer', nowMs)),
    ...agentChain.slice(0, 1).map(row(cluster, 'agent', nowMs)),
    ...membershipChain.slice(0, 1).map(row(cluster, 'membership', nowMs)),
  ]);
  const trusts = clusters.flatMap(({ cluster, bundles }) =>
    bundles.map(({ trustDomain, sequence, roots, jwtKeys, revoked }) => [
      cluster,
      trustDomain,
      `${sequence}`,
      roots.map(({ sha256 }) => sha256.slice(0, 16)).join(' ') || 'nobody',
      `${jwtKeys.length}`,
      `${revoked}`,
    ]),
  );
  return [
    table(['CLUSTER', 'WHAT', 'SHA-256', 'NAME', 'ENDS IN'], certificates),
    '',
    table(['CLUSTER', 'TRUSTS', 'BUNDLE', 'ROOTS', 'JWT KEYS', 'REVOKED'], trusts),
    ...(problems.length === 0 ? [''] : ['', formatProblems(problems, clusters.length)]),
    formatNotRunning(notRunning),
  ].join('\n');
}

function formatProblems(problems: readonly TrustProblem[], clusters: number): string {
  if (problems.length === 0) return `${style('ok', 'green')}: trust of ${clusters} clusters\n`;
  const rows = problems.map(({ cluster, kind, message }) => [
    cluster,
    style(kind, kind === 'expires-soon' ? 'yellow' : 'red'),
    message,
  ]);
  return `${table(['CLUSTER', 'PROBLEM', 'WHAT'], rows)}\n`;
}

function row(cluster: string, what: string, nowMs: number) {
  return ({ sha256, name, notAfterMs }: CertificateFacts): string[] => [
    cluster,
    what,
    sha256.slice(0, 16),
    name,
    notAfterMs < nowMs ? style('expired', 'red') : formatDuration(notAfterMs - nowMs),
  ];
}

function print(output: string, value: unknown, text: () => string): void {
  process.stdout.write(output === 'json' ? `${JSON.stringify(value, null, 2)}\n` : text());
}
