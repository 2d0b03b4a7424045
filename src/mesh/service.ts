/**
 * Services and endpoints as the mesh sees them, and the names that reach them.
 *
 * A service is `<namespace>/<name>`. Its cross-cluster name follows MCS (KEP-1645):
 * `<name>.<namespace>.svc.clusterset.local`; inside its own cluster it also answers to
 * `<name>.<namespace>.svc.cluster.local`, exported or not.
 */

import type { SocketAddress } from './address.ts';
import type { Locality } from './locality.ts';
import {
  type Branded,
  type ClusterName,
  isDnsLabel,
  type Namespace,
  type ServiceKey,
  type ServiceName,
  type WorkloadName,
} from './names.ts';
import type { SpiffeId } from './spiffe-id.ts';

/** What travels on a port: `http` is HTTP/1.1, parsed per request; `tcp` is bytes. */
export type Protocol = 'http' | 'tcp';

export interface ServicePort {
  readonly port: number;
  readonly protocol: Protocol;
}

/** One workload behind a service, reached by mTLS at its sidecar. */
export interface Endpoint {
  readonly workload: WorkloadName;
  readonly cluster: ClusterName;
  readonly spiffeId: SpiffeId;
  readonly locality: Locality;
  /** The inbound port of its sidecar, valid inside its own cluster's network. */
  readonly address: SocketAddress;
  /** Requests it can serve at a time, as its operator says. */
  readonly capacity?: number;
  /** In flight, percent of its capacity; coarse (`load.ts`). */
  readonly load?: number;
}

/** The clusters that may see and call an exported service. */
export type ExportTo = 'all' | readonly ClusterName[];

export function isExportedTo(exportTo: ExportTo, cluster: ClusterName): boolean {
  return exportTo === 'all' || exportTo.includes(cluster);
}

export interface LocalService {
  readonly namespace: Namespace;
  readonly name: ServiceName;
  readonly ports: readonly ServicePort[];
  /** MCS ServiceExport: visible to the other clusters of the ClusterSet. */
  readonly exported: boolean;
  readonly exportTo: ExportTo;
  readonly endpoints: readonly Endpoint[];
}

/** What one cluster offers the others. */
export type ExportedService = Omit<LocalService, 'exported'>;

export function keyOf(service: {
  readonly namespace: Namespace;
  readonly name: ServiceName;
}): ServiceKey {
  return `${service.namespace}/${service.name}` as ServiceKey;
}

export type HostScope = 'clusterset' | 'cluster';

const DOMAIN: Record<HostScope, string> = {
  clusterset: 'svc.clusterset.local',
  cluster: 'svc.cluster.local',
};

export function serviceHost(scope: HostScope, namespace: Namespace, name: ServiceName): string {
  return `${name}.${namespace}.${DOMAIN[scope]}`;
}

export interface ServiceHost {
  readonly scope: HostScope;
  readonly namespace: Namespace;
  readonly name: ServiceName;
}

/** Undefined for any host the mesh does not own. Accepts any case and one trailing dot (RFC 1034 §3.1). */
export function parseServiceHost(host: string): ServiceHost | undefined {
  // Only ASCII has a case here: U+212A (Kelvin) would become a "k".
  if (!/^[A-Za-z0-9.-]+$/.test(host)) return undefined;
  const canonical = (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase();
  for (const scope of ['clusterset', 'cluster'] as const) {
    const suffix = `.${DOMAIN[scope]}`;
    if (!canonical.endsWith(suffix)) continue;
    const labels = canonical.slice(0, -suffix.length).split('.');
    const [name, namespace] = labels;
    if (labels.length !== 2 || name === undefined || namespace === undefined) return undefined;
    if (!isDnsLabel(name) || !isDnsLabel(namespace)) return undefined;
    return { scope, name: name as ServiceName, namespace: namespace as Namespace };
  }
  return undefined;
}

/** Sixteen hex digits that name one endpoint of a service; see `endpointHash`. */
export type EndpointHash = Branded<string, 'EndpointHash'>;

/**
 * FNV-1a 64 over `cluster/workload`: stable across restarts and address changes, so a caller's view
 * of an endpoint's health survives them. A name, not a secret: mTLS decides who is at the other end.
 */
export function endpointHash(cluster: ClusterName, workload: WorkloadName): EndpointHash {
  // In two halves: BigInts cost fifty times as much, and an agent hashes every endpoint there is.
  let high = FNV_OFFSET_HIGH;
  let low = FNV_OFFSET_LOW;
  const text = `${cluster}/${workload}`;
  for (let i = 0; i < text.length; i++) {
    low ^= text.charCodeAt(i);
    // Times the prime 2^40 + 0x1b3, modulo 2^64.
    const product = (low >>> 0) * FNV_PRIME_LOW;
    high = (Math.imul(high, FNV_PRIME_LOW) + Math.floor(product / 2 ** 32) + (low << 8)) | 0;
    low = product | 0;
  }
  return (hex32(high) + hex32(low)) as EndpointHash;
}

const FNV_OFFSET_HIGH = 0xcbf29ce4 | 0;
const FNV_OFFSET_LOW = 0x84222325 | 0;
const FNV_PRIME_LOW = 0x1b3;

function hex32(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
