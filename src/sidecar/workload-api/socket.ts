/** The Workload API's socket, where the configuration asks for one. */

import type { AgentLink } from '../../cluster-agent/client.ts';
import type { Logger } from '../../runtime/log.ts';
import { RpcSocket } from '../../runtime/rpc-socket.ts';
import type { SidecarConfig } from '../config.ts';
import { JwtCache } from './jwt-cache.ts';
import { workloadApiService } from './service.ts';

/** Its owner and group: the workload runs as one of them (in Kubernetes by `fsGroup`). */
const MODE = 0o660;

/** Bound when it resolves; the path is in use by nobody else. Throws STATE_LOCKED, FILE_UNREADABLE. */
export async function openWorkloadApi(
  { workloadApi }: SidecarConfig,
  link: Pick<AgentLink, 'identity' | 'bundles' | 'jwtSvid'>,
  log: Logger,
  now: () => number,
): Promise<RpcSocket | undefined> {
  if (workloadApi === undefined) return undefined;
  const { identity, bundles } = link;
  const jwtSvids = new JwtCache(audience => link.jwtSvid(audience), now);
  const service = workloadApiService({
    identity,
    bundles,
    jwtSvid: audience => jwtSvids.get(audience),
    now,
  });
  const socket = new RpcSocket({
    name: 'workload-api',
    path: workloadApi.socket,
    mode: MODE,
    services: [service],
    log,
  });
  await socket.listen();
  return socket;
}
