/** What the soak asks of agents, over their operator sockets. */

import { agentOf, operatorChannel } from '../../src/cli/operator.ts';
import type { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverProgress } from '../../src/wire/generated/isthmus/operator/v1/rollover.ts';
import type { Bed } from './bed.ts';

const { methods } = AgentOperatorDefinition;

/** Resolves to the number of proxies that renew. */
export async function rotateIntermediate(bed: Bed, cluster: string): Promise<number> {
  return withAgent(bed, cluster, async channel => {
    const { proxies } = await channel.unary(methods.rotateIntermediate, {});
    return proxies;
  });
}

/** Every proven step follows by itself. */
export async function startRollover(bed: Bed, cluster: string): Promise<void> {
  await withAgent(bed, cluster, channel => channel.unary(methods.startRollover, { auto: true }));
}

export async function progressOf(bed: Bed, cluster: string): Promise<RolloverProgress> {
  return withAgent(bed, cluster, async channel => {
    const { rollover } = await channel.unary(methods.getRollover, {});
    if (rollover === undefined) throw new Error(`${cluster} has no rollover`);
    return rollover;
  });
}

async function withAgent<T>(
  { fleet }: Bed,
  cluster: string,
  use: (channel: RpcChannel) => Promise<T>,
): Promise<T> {
  const channel = await operatorChannel(agentOf(fleet, cluster), AgentOperatorDefinition);
  try {
    return await use(channel);
  } finally {
    channel.close();
  }
}
