/** `isthmus token create|list|revoke`: one-time tokens that admit a cluster, kept by the registry. */

import type { Command } from 'commander';
import {
  type JoinTokenState,
  MembershipOperatorDefinition,
} from '../../wire/generated/isthmus/operator/v1/membership.ts';
import { durationOption } from '../arguments.ts';
import { readFleet } from '../fleet.ts';
import { operatorChannel, operatorName } from '../operator.ts';
import { configDirOption, outputOption } from '../options.ts';
import { formatDuration, table } from '../text.ts';

const { createJoinToken, listJoinTokens, revokeJoinToken } = MembershipOperatorDefinition.methods;

interface CommonOptions {
  readonly configDir: string;
  readonly output: string;
}

export function addTokenCommand(program: Command): void {
  const token = program.command('token').description('one-time tokens that admit clusters');
  token
    .command('create')
    .description('make a token; its holder becomes this cluster, once')
    .argument('<cluster>', 'name of the new cluster, such as east')
    .addOption(durationOption('--ttl <duration>', 'how long it may be used', '1h'))
    .option('--rejoin', 'although a cluster of this name is a member', false)
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (cluster: string, options: CommonOptions & { ttl: number; rejoin: boolean }) => {
      const { ttl, rejoin } = options;
      const request = { cluster, ttlMs: BigInt(ttl), by: operatorName(), rejoin };
      const created = await atRegistry(options, channel => channel.unary(createJoinToken, request));
      if (options.output === 'json') {
        const expiresMs = Number(created.expiresMs);
        print({ token: created.token, id: created.id, expiresMs });
        return;
      }
      process.stdout.write(`${created.token}\n`);
      // Not to stdout: TOKEN=$(isthmus token create …) is the token and nothing else.
      process.stderr.write(
        `\nOn the new cluster, within ${formatDuration(ttl)}:\n  isthmus join - --state-dir <the agent's state directory>    # paste the token, then Ctrl-D\n`,
      );
    });
  token
    .command('list')
    .description('tokens and what became of them')
    .addOption(configDirOption())
    .addOption(outputOption())
    .action(async (options: CommonOptions) => {
      const { tokens } = await atRegistry(options, channel => channel.unary(listJoinTokens, {}));
      if (options.output === 'json') print(tokens.map(asJson));
      else process.stdout.write(`${formatTokens(tokens, Date.now())}\n`);
    });
  token
    .command('revoke')
    .description('a token that was not used yet never will be')
    .argument('<id>', 'as "isthmus token list" shows it')
    .addOption(configDirOption())
    .action(async (id: string, options: { configDir: string }) => {
      const request = { id, by: operatorName() };
      const revoked = await atRegistry(options, channel => channel.unary(revokeJoinToken, request));
      const { id: found = id, cluster = '' } = revoked.token ?? {};
      process.stdout.write(`token ${found} for ${cluster} is revoked\n`);
    });
}

function formatTokens(tokens: readonly JoinTokenState[], nowMs: number): string {
  if (tokens.length === 0) return 'no join tokens';
  const rows = tokens.map(({ id, cluster, by, createdMs, ...rest }) => [
    id,
    cluster,
    stateInWords(rest, nowMs),
    `${formatDuration(nowMs - Number(createdMs))} ago`,
    by,
  ]);
  return table(['ID', 'CLUSTER', 'STATE', 'MADE', 'BY'], rows);
}

function stateInWords(
  token: Pick<JoinTokenState, 'state' | 'sinceMs' | 'expiresMs' | 'remoteAddress'>,
  nowMs: number,
): string {
  if (token.state === 'unused') {
    return `unused, expires in ${formatDuration(Number(token.expiresMs) - nowMs)}`;
  }
  const ago = `${formatDuration(nowMs - Number(token.sinceMs))} ago`;
  const from = token.remoteAddress === '' ? '' : ` from ${token.remoteAddress}`;
  return `${token.state} ${ago}${from}`;
}

function asJson(token: JoinTokenState): unknown {
  const { createdMs, expiresMs, sinceMs, ...rest } = token;
  return {
    ...rest,
    createdMs: Number(createdMs),
    expiresMs: Number(expiresMs),
    sinceMs: Number(sinceMs),
  };
}

async function atRegistry<T>(
  { configDir }: { readonly configDir: string },
  call: (channel: Awaited<ReturnType<typeof operatorChannel>>) => Promise<T>,
): Promise<T> {
  const { registry } = readFleet(configDir);
  const channel = await operatorChannel(registry, MembershipOperatorDefinition);
  try {
    return await call(channel);
  } finally {
    channel.close();
  }
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
