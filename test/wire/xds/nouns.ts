/** One of each, for the codec tests. */

import { inboundName } from '../../../src/mesh/callers.ts';
import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../../src/mesh/names.ts';
import { endpointHash } from '../../../src/mesh/service.ts';
import { parseTrustDomain, requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import {
  type UpstreamEndpoint,
  type UpstreamPolicy,
  upstreamName,
} from '../../../src/mesh/upstream.ts';
import { formatSni } from '../../../src/wire/sni.ts';

/** Nothing in it is a default. */
export const POLICY: UpstreamPolicy = {
  balancing: 'least-request',
  panicBelowPercent: 30,
  ejectedPercentMax: 20,
  ejectAfterFailures: 7,
  timeoutMs: 12_000,
  tryTimeoutMs: 900,
};
export const NAME = upstreamName('checkout.shop.svc.clusterset.local', 80);
export const CALLERS = {
  name: inboundName({ namespace: parseNamespace('shop'), name: parseServiceName('checkout') }, 80),
  trustDomains: ['east.example', 'west.example'].map(parseTrustDomain),
};
export const SNI = sniOf('west');
export const IDENTITY = requireSpiffeId('spiffe://west.example/ns/shop/sa/checkout');
export const BUNDLE: TrustBundle = {
  trustDomain: parseTrustDomain('west.example'),
  sequence: 7,
  refreshHintSeconds: 300,
  x509Authorities: [Buffer.alloc(100, 1), Buffer.alloc(3, 2)],
  jwtAuthorities: [],
  revoked: [],
};

export function endpoint(
  clusterName: string,
  priority: number,
  addresses: readonly string[],
): UpstreamEndpoint {
  const cluster = parseClusterName(clusterName);
  const workload = parseWorkloadName(`checkout-${clusterName}-0`);
  const trustDomain = parseTrustDomain(`${clusterName}.example`);
  return {
    hash: endpointHash(cluster, workload),
    workload,
    cluster,
    trustDomain,
    spiffeId: requireSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/checkout`),
    locality: { region: clusterName, zone: '' },
    priority,
    weight: 1 + priority,
    availability: 100 - priority,
    addresses: addresses.map(host => ({ host, port: 15443 })),
    path: addresses.length > 1 ? 'gateway' : 'direct',
    sni: sniOf(clusterName),
  };
}

function sniOf(cluster: string): string {
  return formatSni({
    cluster: parseClusterName(cluster),
    namespace: parseNamespace('shop'),
    service: parseServiceName('checkout'),
    port: 80,
  });
}
