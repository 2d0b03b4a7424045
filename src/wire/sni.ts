/**
 * Server names of the mesh: `[e<hash>.]p<port>.<service>.<namespace>.<cluster>.v1.isthmus.internal`.
 *
 * The name carries everything a gateway needs to route without decrypting, down to one endpoint, and
 * reads back to the same value. Each label is at most 63 characters and the whole at most 253 (RFC
 * 1035 §2.3.4) for any legal names. `v1` is the grammar's version: a gateway refuses names it does not
 * know rather than guessing. `.internal` is reserved for private use, so no public name can collide.
 *
 * `probe.<cluster>.v1.isthmus.internal` is the one name a gateway answers itself. It has two labels where
 * a service has four or five, so no service, whatever it is called, can be taken for it.
 */

import { type ClusterName, isDnsLabel, type Namespace, type ServiceName } from '../mesh/names.ts';
import type { EndpointHash } from '../mesh/service.ts';

export interface Sni {
  readonly cluster: ClusterName;
  readonly namespace: Namespace;
  readonly service: ServiceName;
  readonly port: number;
  /** Absent: any endpoint of the service. */
  readonly endpoint?: EndpointHash;
}

const SUFFIX = '.v1.isthmus.internal';
const ENDPOINT = /^e([0-9a-f]{16})$/;
const PORT = /^p([1-9][0-9]{0,4})$/;

export function formatSni(sni: Sni): string {
  const service = `p${sni.port}.${sni.service}.${sni.namespace}.${sni.cluster}${SUFFIX}`;
  return sni.endpoint === undefined ? service : `e${sni.endpoint}.${service}`;
}

/** Undefined for anything `formatSni` does not make, but for case and one trailing dot (RFC 6066 §3). */
export function parseSni(name: string): Sni | undefined {
  const labels = labelsOf(name);
  if (labels === undefined) return undefined;
  const endpointLabel = labels.length === 5 ? labels.shift() : undefined;
  const endpoint = ENDPOINT.exec(endpointLabel ?? '')?.[1];
  if (endpointLabel !== undefined && endpoint === undefined) return undefined;
  const [portLabel, service, namespace, cluster] = labels;
  if (labels.length !== 4 || !portLabel || !service || !namespace || !cluster) return undefined;
  const port = Number(PORT.exec(portLabel)?.[1]);
  if (!(port <= 65535)) return undefined;
  if (!isDnsLabel(service) || !isDnsLabel(namespace) || !isDnsLabel(cluster)) return undefined;
  return {
    cluster: cluster as ClusterName,
    namespace: namespace as Namespace,
    service: service as ServiceName,
    port,
    ...(endpoint === undefined ? {} : { endpoint: endpoint as EndpointHash }),
  };
}

/** What a gateway of the cluster answers itself; see trust-federation/probes/peer-probe.ts. */
export function formatProbeSni(cluster: ClusterName): string {
  return `${PROBE}.${cluster}${SUFFIX}`;
}

/** Undefined for anything `formatProbeSni` does not make, but for case and one trailing dot. */
export function parseProbeSni(name: string): ClusterName | undefined {
  const [label, cluster, ...more] = labelsOf(name) ?? [];
  if (label !== PROBE || !cluster || more.length > 0 || !isDnsLabel(cluster)) return undefined;
  return cluster as ClusterName;
}

const PROBE = 'probe';

/** In front of the suffix, in lower case. */
function labelsOf(name: string): string[] | undefined {
  const canonical = (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
  if (!canonical.endsWith(SUFFIX)) return undefined;
  return canonical.slice(0, -SUFFIX.length).split('.');
}
