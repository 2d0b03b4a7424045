/** What an operator may ask of this registry process; see `runtime/operator-socket.ts` for who that is. */

import type { TrustDomain } from '../mesh/spiffe-id.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import { RegistryOperatorDefinition } from '../wire/generated/isthmus/operator/v1/registry.ts';

export function registryOperatorService(clusterSet: TrustDomain): RpcService {
  return rpcService(RegistryOperatorDefinition, {
    describe: () => Promise.resolve({ clusterSet }),
  });
}
