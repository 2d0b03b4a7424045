/** What gateways hold: a way in to what their cluster exports, and the gateways of the others to probe. */

import { gatewayRoutes } from '../../mesh/outbound.ts';
import { formatProbeSni, formatSni } from '../../wire/sni.ts';
import { formatCluster } from '../../wire/xds/cluster.ts';
import { formatGatewayListener, GATEWAY_LISTENER } from '../../wire/xds/listener.ts';
import { formatGatewayAssignment } from '../../wire/xds/load-assignment.ts';
import { formatPeerGateways } from '../../wire/xds/peer-gateways.ts';
import type { MeshState, ResourceChange } from './snapshot.ts';
import { WrittenResources } from './written-resources.ts';

/** One cluster's exports are few: all are written each time, and those that are the same change nothing. */
export class GatewayResources {
  readonly #written = new WrittenResources();

  changes(state: MeshState): ResourceChange[] {
    return this.#written.changes(resourcesOf(state));
  }
}

function resourcesOf(state: MeshState): ResourceChange[] {
  const routes = state.exports
    .flatMap(each => gatewayRoutes(state.cluster.name, each, formatSni))
    .sort((a, b) => (a.sni < b.sni ? -1 : 1));
  const peers = [...state.clusters.values()]
    .filter(({ name, gateways }) => name !== state.cluster.name && gateways.length > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const chains = routes.map(({ sni }) => ({ sni, cluster: sni }));
  return [
    ...routes.flatMap(({ sni, endpoints }) =>
      wayTo(sni, formatGatewayAssignment({ name: sni, endpoints })),
    ),
    ...peers.flatMap(({ name, trustDomain, gateways }) =>
      wayTo(
        formatProbeSni(name),
        formatPeerGateways({ cluster: name, trustDomain, addresses: gateways }),
      ),
    ),
    { type: 'listener', name: GATEWAY_LISTENER, bytes: formatGatewayListener(chains) },
  ];
}

function wayTo(sni: string, assignment: Buffer): ResourceChange[] {
  return [
    { type: 'cluster', name: sni, bytes: formatCluster({ kind: 'passthrough', name: sni }) },
    { type: 'load-assignment', name: sni, bytes: assignment },
  ];
}
