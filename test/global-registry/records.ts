/** Records for tests, as nouns and as the store keeps them. */

import { formatKey } from '../../src/global-registry/keys.ts';
import type { StoreEntry } from '../../src/global-registry/store/store.ts';
import type { ClusterConfig } from '../../src/mesh/cluster.ts';
import type { ClusterName, Namespace, ServiceName, WorkloadName } from '../../src/mesh/names.ts';
import type { ExportTo } from '../../src/mesh/service.ts';
import type { SpiffeId, TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { formatRecord, idOf, type RegistryRecord } from '../../src/wire/registry-records.ts';
import { bundleRecord, envelopeOf } from '../support/cluster-set.ts';
import { type TestAuthority, testAuthority } from '../trust-federation/pki.ts';

export { CLUSTER_SET } from '../support/cluster-set.ts';

export const east = 'east' as ClusterName;
export const west = 'west' as ClusterName;

const authorities = new Map<string, TestAuthority>();

export function trustDomainOf(cluster: string): TrustDomain {
  return `${cluster}.example` as TrustDomain;
}

export function configOf(
  cluster: string,
  trustDomain = trustDomainOf(cluster),
  more: Partial<ClusterConfig> = {},
): RegistryRecord {
  return {
    kind: 'config',
    config: {
      name: cluster as ClusterName,
      instance: 'i1',
      trustDomain,
      locality: { region: 'r', zone: 'z' },
      network: cluster,
      gateways: [],
      version: '0.1.0',
      startedMs: 1_000,
      capabilities: [],
      ...more,
    },
  };
}

export function bundleRecordOf(
  cluster: string,
  trustDomain = trustDomainOf(cluster),
): RegistryRecord {
  const authority = authorities.get(trustDomain) ?? testAuthority(trustDomain);
  authorities.set(trustDomain, authority);
  const current = envelopeOf(cluster, authority.bundle, [authority]);
  return bundleRecord({ current, predecessors: [] });
}

export function sliceOf(
  cluster: string,
  options: {
    slice?: number;
    trustDomain?: TrustDomain;
    endpoints?: number;
    name?: string;
    exportTo?: ExportTo;
  } = {},
): RegistryRecord {
  const { slice = 0, trustDomain = trustDomainOf(cluster), endpoints = 1, name = 'cart' } = options;
  const { exportTo = 'all' } = options;
  return {
    kind: 'export-slice',
    slice: {
      namespace: 'shop' as Namespace,
      name: name as ServiceName,
      slice,
      ports: [{ port: 80, protocol: 'http' }],
      exportTo,
      endpoints: Array.from({ length: endpoints }, (_, i) => ({
        workload: `cart-${i}` as WorkloadName,
        cluster: cluster as ClusterName,
        spiffeId: `spiffe://${trustDomain}/ns/shop/sa/cart` as SpiffeId,
        locality: { region: 'r', zone: 'z' },
        address: { host: '127.0.0.1', port: 10_000 + i },
      })),
    },
  };
}

export function entryOf(
  cluster: string,
  record: RegistryRecord,
  revision = 1n,
  leaseId?: string,
): StoreEntry {
  const key = formatKey({ cluster: cluster as ClusterName, id: idOf(record) });
  return { key, value: formatRecord(record), revision, created: revision, leaseId };
}
