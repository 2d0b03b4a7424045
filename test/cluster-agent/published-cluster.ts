/** The records of another cluster, as its agent would publish them: `payments` on port 80. */

import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../src/mesh/names.ts';
import { parseTrustDomain, requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import type { RegistryRecord } from '../../src/wire/registry-records.ts';
import { bundleRecord, envelopeOf } from '../support/cluster-set.ts';
import { testAuthority } from '../trust-federation/pki.ts';

export function publishedCluster(name: string, workloads: readonly string[]): RegistryRecord[] {
  const cluster = parseClusterName(name);
  const trustDomain = parseTrustDomain(`${name}.example`);
  const locality = { region: 'us-west', zone: 'us-west-1' };
  const authority = testAuthority(trustDomain);
  const instance = 'instance-1';
  return [
    {
      kind: 'config',
      config: {
        name: cluster,
        instance,
        trustDomain,
        locality,
        network: name,
        gateways: [{ host: '127.0.0.1', port: 22443 }],
        version: '0.0.0',
        startedMs: 0,
        capabilities: [],
      },
    },
    bundleRecord({ current: envelopeOf(name, authority.bundle, [authority]), predecessors: [] }),
    {
      kind: 'export-slice',
      slice: {
        namespace: parseNamespace('shop'),
        name: parseServiceName('payments'),
        slice: 0,
        ports: [{ port: 80, protocol: 'http' }],
        exportTo: 'all',
        endpoints: workloads.map(workload => ({
          workload: parseWorkloadName(workload),
          cluster,
          spiffeId: requireSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/payments`),
          locality,
          address: { host: '127.0.0.1', port: 22121 },
        })),
      },
    },
    { kind: 'alive', instance },
    { kind: 'synced', instance },
  ];
}
