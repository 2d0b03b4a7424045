/**
 * Which application a CONNECT is for. The authority must name a service and port of this workload, and
 * a server name that is a mesh name must name the same: otherwise a gateway could be let through for
 * one service and the stream taken to another. Pure.
 */

import type { SocketAddress } from '../../mesh/address.ts';
import type { ClusterName, Namespace, ServiceName } from '../../mesh/names.ts';
import { type Protocol, parseServiceHost } from '../../mesh/service.ts';
import { parseSni } from '../../wire/sni.ts';

export interface InboundService {
  readonly namespace: Namespace;
  readonly name: ServiceName;
  readonly port: number;
  readonly protocol: Protocol;
  readonly application: SocketAddress;
}

export type ServiceLookup =
  | { readonly kind: 'found'; readonly service: InboundService }
  | { readonly kind: 'refused'; readonly status: 404 | 421; readonly reason: LookupRefusal };

export type LookupRefusal = 'unknown-service' | 'misdirected';

const AUTHORITY = /^([^:]+):([1-9][0-9]{0,4})$/;

export function findService(
  services: readonly InboundService[],
  cluster: ClusterName,
  authority: string,
  serverName: string,
): ServiceLookup {
  const match = AUTHORITY.exec(authority);
  const host = parseServiceHost(match?.[1] ?? '');
  const service = services.find(
    candidate =>
      candidate.name === host?.name &&
      candidate.namespace === host.namespace &&
      candidate.port === Number(match?.[2]),
  );
  if (service === undefined) return { kind: 'refused', status: 404, reason: 'unknown-service' };
  const sni = parseSni(serverName);
  const sameService =
    sni === undefined ||
    (sni.cluster === cluster &&
      sni.namespace === service.namespace &&
      sni.service === service.name &&
      sni.port === service.port);
  return sameService
    ? { kind: 'found', service }
    : { kind: 'refused', status: 421, reason: 'misdirected' };
}
