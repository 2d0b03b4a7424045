/**
 * The way to a process's operator socket: its admin server says where the socket is, and the file's
 * permissions decide whether this user may open it.
 */

import { hostname, userInfo } from 'node:os';
import { MeshError } from '../mesh/errors.ts';
import { RpcChannel } from '../runtime/rpc-client.ts';
import { RegistryOperatorDefinition } from '../wire/generated/isthmus/operator/v1/registry.ts';
import { askAdmin } from './admin-client.ts';
import type { AgentMember, Fleet, RegistryMember } from './fleet.ts';

/** Throws PEER_UNAVAILABLE when the process is not running. Close the channel when done. */
export async function operatorChannel(
  member: AgentMember | RegistryMember,
  definition: { readonly fullName: string },
): Promise<RpcChannel> {
  const answer = await askAdmin<{ socket: string }>(member.admin, '/debug/operator');
  if (answer.kind === 'answered' && answer.status === 200) {
    return new RpcChannel(definition, { socketPath: answer.body.socket });
  }
  const reason = answer.kind === 'unreachable' ? answer.reason : `status ${answer.status}`;
  throw new MeshError(
    'PEER_UNAVAILABLE',
    `${member.name} does not answer on its admin address (${reason}); is it running, and is this its machine?`,
  );
}

/** One conversation with the registry. Throws PEER_UNAVAILABLE when it does not run here. */
export async function askRegistry<T>(
  fleet: Fleet,
  ask: (channel: RpcChannel) => Promise<T>,
): Promise<T> {
  const channel = await operatorChannel(fleet.registry, RegistryOperatorDefinition);
  try {
    return await ask(channel);
  } finally {
    channel.close();
  }
}

/** Who asks, as far as this machine knows. */
export function operatorName(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** Throws CONFIG_INVALID with the known names. */
export function agentOf(fleet: Fleet, cluster: string): AgentMember {
  const found = fleet.clusters.find(({ name }) => name === cluster);
  if (found !== undefined) return found.agent;
  const known = fleet.clusters.map(({ name }) => name).join(', ');
  throw new MeshError(
    'CONFIG_INVALID',
    `no cluster "${cluster}"; the configuration knows ${known}`,
  );
}
