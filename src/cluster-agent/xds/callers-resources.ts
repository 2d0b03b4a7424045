/** Who may call each port of a service of this cluster, for the sidecars beside its workloads. */

import { callersOf, inboundName } from '../../mesh/callers.ts';
import type { LocalService } from '../../mesh/service.ts';
import { formatCallers } from '../../wire/xds/callers.ts';
import type { MeshState, ResourceChange } from './snapshot.ts';

/** Encoded once, for as long as service and clusters are the same. */
const encoded = new WeakMap<
  LocalService,
  { readonly clusters: string; readonly resources: readonly ResourceChange[] }
>();

export function callersResources({
  cluster,
  clusters: all,
  services,
  guests,
}: MeshState): ResourceChange[] {
  const names = [...all.values()].map(({ name, trustDomain }) => `${name} ${trustDomain}`);
  const clusters = `${cluster.name}: ${names.join()}`;
  return [...services.values()].flatMap(service => {
    const known = encoded.get(service);
    if (known?.clusters === clusters) return known.resources;
    const trustDomains = callersOf(service, cluster.name, all.values(), guests);
    const resources = service.ports.map(({ port }): ResourceChange => {
      const name = inboundName(service, port);
      return { type: 'extension-config', name, bytes: formatCallers({ name, trustDomains }) };
    });
    encoded.set(service, { clusters, resources });
    return resources;
  });
}
