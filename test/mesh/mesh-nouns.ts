/** Short ways to write services and clusters in tables. */

import type { ClusterConfig } from '../../src/mesh/cluster.ts';
import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../src/mesh/names.ts';
import type { Endpoint, ExportedService, ServicePort } from '../../src/mesh/service.ts';
import { parseTrustDomain, requireSpiffeId } from '../../src/mesh/spiffe-id.ts';

export const HTTP_80: ServicePort = { port: 80, protocol: 'http' };

export function endpoint(cluster: string, workload: string, region = cluster, zone = ''): Endpoint {
  return {
    workload: parseWorkloadName(workload),
    cluster: parseClusterName(cluster),
    spiffeId: requireSpiffeId(`spiffe://${cluster}.example/ns/shop/sa/cart`),
    locality: { region, zone },
    address: { host: workload, port: 15006 },
  };
}

export function service(
  name: string,
  endpoints: readonly Endpoint[],
  ports: readonly ServicePort[] = [HTTP_80],
): ExportedService {
  return {
    namespace: parseNamespace('shop'),
    name: parseServiceName(name),
    ports,
    exportTo: 'all',
    endpoints,
  };
}

export function config(name: string, more: Partial<ClusterConfig> = {}): ClusterConfig {
  return {
    name: parseClusterName(name),
    instance: 'i-1',
    trustDomain: parseTrustDomain(`${name}.example`),
    locality: { region: name, zone: '' },
    network: name,
    gateways: [{ host: `gateway-${name}`, port: 15443 }],
    version: '0.0.0',
    startedMs: 0,
    capabilities: [],
    ...more,
  };
}
