/**
 * The services file of the static source: what this cluster runs, written by a person.
 *
 * Beyond each value's own grammar it refuses what could only be a mistake: a service or a port named
 * twice, a workload twice in one service, one workload with two identities or two sidecars.
 */

import * as v from 'valibot';
import { formatAddress } from '../../mesh/address.ts';
import type { Locality } from '../../mesh/locality.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { LocalService } from '../../mesh/service.ts';
import { type TrustDomain, workloadId } from '../../mesh/spiffe-id.ts';
import {
  address,
  clusterName,
  namespace,
  object,
  parseConfig,
  port,
  readConfig,
  serviceAccount,
  serviceName,
  workloadName,
} from '../../runtime/config.ts';
import { SERVICE_PORTS_MAX } from '../limits.ts';
import { type Contradiction, withoutContradictions } from './contradictions.ts';

/** The cluster whose services these are. */
export interface ServicesOwner {
  readonly cluster: ClusterName;
  readonly trustDomain: TrustDomain;
  readonly locality: Locality;
}

const endpoint = object({
  workload: workloadName(),
  serviceAccount: serviceAccount(),
  sidecar: address(),
  /** Requests it can serve at a time; a cluster that is nearly full sends callers elsewhere. */
  capacity: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(1_000_000, 'must be at most 1000000'),
    ),
  ),
  /** Default: the agent's own. */
  zone: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9._-]{1,63}$/, 'must be 1 to 63 letters, digits, ".", "_" or "-"'),
    ),
  ),
});

const service = object({
  name: serviceName(),
  namespace: namespace(),
  ports: v.pipe(
    v.array(object({ port: port(), protocol: v.picklist(['http', 'tcp']) })),
    v.minLength(1, 'must have at least one port'),
    v.maxLength(SERVICE_PORTS_MAX, `must have at most ${SERVICE_PORTS_MAX} ports`),
  ),
  export: v.optional(v.boolean(), false),
  /** The clusters that may see and call it. Default: all. */
  exportTo: v.optional(v.array(clusterName())),
  endpoints: v.array(endpoint),
});

const servicesFile = object({
  services: v.pipe(v.array(service), withoutContradictions(contradictions)),
});

/** Throws CONFIG_UNREADABLE, or CONFIG_INVALID with every problem. */
export function loadServicesFile(file: string, owner: ServicesOwner): LocalService[] {
  return parseServicesFile(readConfig(file), file, owner);
}

/** `file` labels the problems. Throws CONFIG_INVALID. */
export function parseServicesFile(
  text: string,
  file: string,
  owner: ServicesOwner,
): LocalService[] {
  const { services } = parseConfig(text, file, servicesFile);
  return services.map(entry => ({
    namespace: entry.namespace,
    name: entry.name,
    ports: entry.ports,
    exported: entry.export,
    exportTo: entry.exportTo ?? 'all',
    endpoints: entry.endpoints.map(each => ({
      workload: each.workload,
      cluster: owner.cluster,
      spiffeId: workloadId(owner.trustDomain, entry.namespace, each.serviceAccount),
      locality: { region: owner.locality.region, zone: each.zone ?? owner.locality.zone },
      address: each.sidecar,
      ...(each.capacity === undefined ? {} : { capacity: each.capacity }),
    })),
  }));
}

function contradictions(services: readonly v.InferOutput<typeof service>[]): Contradiction[] {
  const found: Contradiction[] = [];
  const names = new Set<string>();
  const workloads = new Map<string, { readonly facts: string; readonly at: string }>();
  for (const [s, entry] of services.entries()) {
    const key = `${entry.namespace}/${entry.name}`;
    if (names.has(key)) {
      const message = `must be another name: namespace "${entry.namespace}" has this service already`;
      found.push({ path: `${s}.name`, message, found: entry.name });
    }
    names.add(key);
    if (entry.exportTo !== undefined && !entry.export) {
      const message = 'needs "export: true" beside it';
      found.push({ path: `${s}.exportTo`, message, found: entry.exportTo.join(', ') });
    }
    const ports = new Set<number>();
    for (const [p, { port: number }] of entry.ports.entries()) {
      const path = `${s}.ports.${p}.port`;
      if (ports.has(number)) found.push({ path, message: 'must not stand twice', found: number });
      ports.add(number);
    }
    const own = new Set<string>();
    for (const [e, { workload, serviceAccount: account, sidecar }] of entry.endpoints.entries()) {
      const path = `${s}.endpoints.${e}.workload`;
      const facts = `${entry.namespace}/${account} at ${formatAddress(sidecar)}`;
      const before = workloads.get(workload);
      if (own.has(workload)) {
        found.push({ path, message: 'must not stand twice in a service', found: workload });
      } else if (before !== undefined && before.facts !== facts) {
        const message = `must be another name: it is ${before.facts} in services.${before.at}, here ${facts}`;
        found.push({ path, message, found: workload });
      }
      own.add(workload);
      workloads.set(workload, before ?? { facts, at: path });
    }
  }
  return found;
}
