/** `isthmus trust rollover start|status|advance|abort CLUSTER`, `isthmus trust rotate-intermediate CLUSTER`. */

import { type Command, Option } from 'commander';
import type { RpcChannel } from '../../runtime/rpc-client.ts';
import { AgentOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverStatus } from '../../wire/generated/isthmus/operator/v1/rollover.ts';
import { readFleet } from '../fleet.ts';
import { agentOf, operatorChannel } from '../operator.ts';
import { configDirOption, outputOption } from '../options.ts';
import { formatRollover, rolloverJson } from '../rollover.ts';
import { trustGroup } from './trust.ts';

const { methods } = AgentOperatorDefinition;

interface Options {
  readonly configDir: string;
  readonly output: string;
}

export function addTrustRolloverCommands(program: Command): void {
  const trust = trustGroup(program);
  const rollover = trust
    .command('rollover')
    .description("replace a cluster's root, step by proven step, under traffic");
  on(rollover, 'start', 'make a new root and announce it to every cluster')
    .option('--auto', 'take every step by itself as soon as it is proven', false)
    .action((cluster: string, options: Options & { readonly auto: boolean }) =>
      show(cluster, options, (channel, call) =>
        channel.unary(methods.startRollover, { auto: options.auto }, call),
      ),
    );
  on(rollover, 'status', 'what is proven, and who lacks what since when').action(
    (cluster: string, options: Options) =>
      show(cluster, options, (channel, call) => channel.unary(methods.getRollover, {}, call)),
  );
  on(rollover, 'advance', 'take the next step, if it is proven')
    .addOption(new Option('--force', 'without the proof; whoever lacks it may be cut off'))
    .option('--reason <text>', 'why to force it; kept in the journal')
    .action(
      (cluster: string, options: Options & { readonly force?: true; readonly reason?: string }) => {
        if (options.force !== undefined && !options.reason) {
          rollover.error('error: --force needs --reason "why"');
        }
        const forceReason = options.force === true ? (options.reason ?? '') : '';
        return show(cluster, options, (channel, call) =>
          channel.unary(methods.advanceRollover, { forceReason }, call),
        );
      },
    );
  on(rollover, 'abort', 'go back to the old root, as long as there is a way')
    .option('--reason <text>', 'why; kept in the journal', 'no reason given')
    .action((cluster: string, options: Options & { readonly reason: string }) =>
      show(cluster, options, (channel, call) =>
        channel.unary(methods.abortRollover, { reason: options.reason }, call),
      ),
    );
  trust
    .command('rotate-intermediate')
    .argument('<cluster>', 'whose intermediate')
    .description('sign with a new intermediate; every certificate of the old one is replaced now')
    .addOption(configDirOption())
    .action(async (cluster: string, { configDir }: Options) => {
      const { proxies } = await withAgent(cluster, configDir, (channel, call) =>
        channel.unary(methods.rotateIntermediate, {}, call),
      );
      process.stdout.write(
        `${cluster} signs with a new intermediate; ${proxies} proxies are renewing\n`,
      );
    });
}

function on(group: Command, name: string, description: string): Command {
  return group
    .command(name)
    .argument('<cluster>', 'whose root')
    .description(description)
    .addOption(configDirOption())
    .addOption(outputOption());
}

type Call<T> = (channel: RpcChannel, call: { readonly signal: AbortSignal }) => Promise<T>;

async function show(
  cluster: string,
  { configDir, output }: Options,
  call: Call<RolloverStatus>,
): Promise<void> {
  const status = await withAgent(cluster, configDir, call);
  process.stdout.write(
    output === 'json'
      ? `${JSON.stringify(rolloverJson(cluster, status), null, 2)}\n`
      : formatRollover(cluster, status, Date.now()),
  );
}

async function withAgent<T>(cluster: string, configDir: string, call: Call<T>): Promise<T> {
  const agent = agentOf(readFleet(configDir), cluster);
  const channel = await operatorChannel(agent, AgentOperatorDefinition);
  try {
    return await call(channel, { signal: new AbortController().signal });
  } finally {
    channel.close();
  }
}
