/**
 * Where a server name leads: an exported service of this gateway's own cluster, by exact match, or
 * nowhere. There is no default route and no transit to other clusters. A
 * service that exists but is not exported is in no table here, so it is refused like one that never was.
 */

import type { Collection } from '../mesh/collection.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { GatewayEndpoint, GatewayRoute } from '../mesh/upstream.ts';
import { formatSni, parseProbeSni, parseSni, type Sni } from '../wire/sni.ts';

export type RoutingDecision =
  | { readonly kind: 'routed'; readonly sni: string; readonly endpoint: GatewayEndpoint }
  /** The one name that is answered here; see probes.ts. */
  | { readonly kind: 'probe' }
  | { readonly kind: 'refused'; readonly reason: RoutingRefusal };

export type RoutingRefusal =
  | 'no-server-name'
  | 'not-a-mesh-name'
  | 'other-cluster'
  | 'unknown-service'
  | 'no-endpoint';

export interface RoutingTable {
  readonly cluster: ClusterName;
  readonly routes: Pick<Collection<string, GatewayRoute>, 'get'>;
}

/** `turn` grows by one with every connection: names without a known endpoint take them in turn. */
export function routeServerName(
  serverName: string | undefined,
  table: RoutingTable,
  turn: number,
): RoutingDecision {
  if (serverName === undefined) return refused('no-server-name');
  const sni = parseSni(serverName);
  if (sni === undefined) return routeProbe(serverName, table);
  if (sni.cluster !== table.cluster) return refused('other-cluster');
  const serviceSni = formatServiceSni(sni);
  const route = table.routes.get(serviceSni);
  if (route === undefined) return refused('unknown-service');
  const endpoint =
    route.endpoints.find(candidate => candidate.hash === sni.endpoint) ??
    route.endpoints[turn % route.endpoints.length];
  return endpoint === undefined
    ? refused('no-endpoint')
    : { kind: 'routed', sni: serviceSni, endpoint };
}

function routeProbe(serverName: string, table: RoutingTable): RoutingDecision {
  const probed = parseProbeSni(serverName);
  if (probed === undefined) return refused('not-a-mesh-name');
  return probed === table.cluster ? { kind: 'probe' } : refused('other-cluster');
}

function formatServiceSni({ cluster, namespace, service, port }: Sni): string {
  return formatSni({ cluster, namespace, service, port });
}

function refused(reason: RoutingRefusal): RoutingDecision {
  return { kind: 'refused', reason };
}
