/**
 * grpc.health.v1 for load balancers and orchestrators: does this process have a table to serve?
 *
 * A store that is away does not make it unhealthy: it still serves what it knows, and another process
 * would be no better off. Callers are members of the ClusterSet, as for every call to this port.
 */

import { MeshError } from '../mesh/errors.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as Status,
} from '../wire/generated/grpc/health/v1/health.ts';
import { RegistryDefinition } from '../wire/generated/isthmus/registry/v1/registry.ts';
import type { TableMirror } from './table/table-mirror.ts';

/** "" is the process as a whole. */
const SERVICES: ReadonlySet<string> = new Set(['', RegistryDefinition.fullName]);

type ServingStatus = (typeof Status)[keyof typeof Status];

export function healthService(mirror: TableMirror): RpcService {
  const statusOf = (service: string): ServingStatus => {
    if (!SERVICES.has(service)) return Status.SERVICE_UNKNOWN;
    return mirror.storeId === undefined ? Status.NOT_SERVING : Status.SERVING;
  };
  return rpcService(HealthDefinition, {
    check: ({ service }) => {
      const status = statusOf(service);
      if (status !== Status.SERVICE_UNKNOWN) return Promise.resolve({ status });
      const known = RegistryDefinition.fullName;
      throw new MeshError(
        'SERVICE_UNKNOWN',
        `no service ${JSON.stringify(service.slice(0, 80))} here; ask for "" or "${known}"`,
      );
    },
    async *watch({ service }, { signal }) {
      let told: ServingStatus | undefined;
      while (!signal.aborted && !mirror.stopped) {
        const status = statusOf(service);
        if (status !== told) yield { status };
        told = status;
        await mirror.changed(signal);
      }
    },
  });
}
