/**
 * gRPC for the operator of this process, over a Unix socket in its state directory.
 *
 * Who may open the socket is the operator: it is 0600 in a directory that is 0700. Remote operators come
 * over ssh or `kubectl exec`.
 */

import { join } from 'node:path';
import type { Logger } from './log.ts';
import type { RpcService } from './rpc-server.ts';
import { RpcSocket } from './rpc-socket.ts';

/** In the state directory. */
export const OPERATOR_SOCKET = 'operator.sock';

export function operatorSocket(
  stateDir: string,
  services: readonly RpcService[],
  log: Logger,
): RpcSocket {
  const path = join(stateDir, OPERATOR_SOCKET);
  return new RpcSocket({ name: 'operator-socket', path, mode: 0o600, services, log });
}
