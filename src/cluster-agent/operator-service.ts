/** What an operator may ask of this agent; see `runtime/operator-socket.ts` for who that is. */

import type { ClusterConfig } from '../mesh/cluster.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import { AgentOperatorDefinition } from '../wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverRunner } from './trust/rollover.ts';
import { rolloverHandlers } from './trust/rollover-service.ts';

export function agentOperatorService(
  { name, trustDomain }: Pick<ClusterConfig, 'name' | 'trustDomain'>,
  rollover: RolloverRunner,
): RpcService {
  return rpcService(AgentOperatorDefinition, {
    describe: () => Promise.resolve({ cluster: name, trustDomain }),
    ...rolloverHandlers(rollover),
  });
}
