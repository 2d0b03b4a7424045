/**
 * What an endpoint's change costs an agent that imports everything, and a sidecar that is told everything:
 * how long the agent's event loop stands still from the change of one cluster's record to the snapshot that
 * its sidecars are sent, and a sidecar's for what it is sent.
 */

import type { ClusterVerdict } from '../../src/cluster-agent/liveness.ts';
import { deriveMesh } from '../../src/cluster-agent/mesh-state.ts';
import type { LoadKey } from '../../src/cluster-agent/proxies/endpoint-loads.ts';
import { SnapshotCache } from '../../src/cluster-agent/xds/snapshot-cache.ts';
import type { ClusterConfig, ClusterRecord } from '../../src/mesh/cluster.ts';
import { Table } from '../../src/mesh/collection.ts';
import type { ServicePolicy } from '../../src/mesh/failover-policy.ts';
import type { Intent, IntentKey } from '../../src/mesh/intent.ts';
import {
  type ClusterName,
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
  type ServiceKey,
} from '../../src/mesh/names.ts';
import type { ExportedService, LocalService } from '../../src/mesh/service.ts';
import { parseTrustDomain, requireSpiffeId, type TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { steeringAt } from '../../src/mesh/steering.ts';
import type { TrustBundle } from '../../src/mesh/trust-bundle.ts';
import { type Figures, median } from '../figures.ts';
import { ToldSidecar } from './sidecar.ts';

const ENDPOINTS_PER_SERVICE = 3;
const CHANGES = 5;

export async function measureAgent(clusters: number, services: number): Promise<Figures> {
  const members = new Table<ClusterName, ClusterRecord>('members');
  const steering = steeringAt([], 0);
  const spills = new Map();
  const unchanging = { observe: () => () => undefined };
  const names = Array.from({ length: clusters }, (_, i) => parseClusterName(`c${i}`));
  members.replaceAll(names.map(name => [name, recordOf(name, services, 'zone')]));
  const mesh = deriveMesh({
    own: configOf(parseClusterName('own')),
    services: new Table<ServiceKey, LocalService>('services'),
    members,
    bundles: [new Table<TrustDomain, TrustBundle>('bundles')],
    guests: new Map(),
    policies: new Table<ServiceKey, ServicePolicy>('policies'),
    intents: new Table<IntentKey, Intent>('intents'),
    verdicts: new Table<ClusterName, ClusterVerdict>('verdicts'),
    loads: new Table<LoadKey, number>('loads'),
    steering: { current: () => steering, ...unchanging },
    known: { hasView: true, ...unchanging },
    now: () => 0,
  });
  const cache = new SnapshotCache({
    inputs: mesh.inputs,
    state: () => ({ ...mesh.state(), spills }),
  });
  let snapshots = 0;
  const sidecarStalls: number[] = [];
  const startMs = performance.now();
  const locality = { region: 'own', zone: 'zone' };
  const { snapshot, stop } = cache.subscribe({ kind: 'sidecar', locality }, changedSnapshot => {
    latest = changedSnapshot;
    snapshots += 1;
  });
  const firstMs = performance.now() - startMs;
  let latest = snapshot;
  const sidecar = new ToldSidecar(snapshot, bundleOf(parseTrustDomain('own.example')));
  const sidecarFirstMs = sidecar.connect();
  const stalls: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const [name] = names;
    if (name === undefined) break;
    const before = performance.now();
    members.put(name, changed(members.get(name), `mark-${i}`));
    // The cache works in the next turn of the loop, before anything else gets one.
    await new Promise(resolve => setImmediate(resolve));
    stalls.push(performance.now() - before);
    sidecarStalls.push(sidecar.hear(latest));
  }
  stop();
  if (snapshots !== CHANGES) throw new Error(`${snapshots} snapshots of ${CHANGES} changes`);
  const told = sidecar.upstreams;
  if (told !== clusters * services) throw new Error(`the sidecar knows ${told} upstreams`);
  return {
    clusters,
    services: clusters * services,
    firstSnapshotMs: firstMs,
    stallMs: median(stalls),
    sidecarFirstMs,
    sidecarStallMs: median(sidecarStalls),
  };
}

/** One endpoint of its first service is somewhere else now. */
function changed(record: ClusterRecord | undefined, zone: string): ClusterRecord {
  const [first, ...rest] = record?.exports ?? [];
  if (record === undefined || first === undefined) throw new Error('nothing to change');
  const [endpoint, ...others] = first.endpoints;
  if (endpoint === undefined) throw new Error('no endpoint to change');
  const moved = { ...endpoint, locality: { ...endpoint.locality, zone } };
  return { ...record, exports: [{ ...first, endpoints: [moved, ...others] }, ...rest] };
}

function recordOf(name: ClusterName, services: number, zone: string): ClusterRecord {
  const config = configOf(name);
  const { trustDomain } = config;
  const exports = Array.from({ length: services }, (_, s): ExportedService => {
    const service = `svc-${s}`;
    return {
      namespace: parseNamespace(name),
      name: parseServiceName(service),
      ports: [{ port: 80, protocol: 'http' }],
      exportTo: 'all',
      endpoints: Array.from({ length: ENDPOINTS_PER_SERVICE }, (_unused, e) => ({
        workload: parseWorkloadName(`${service}-${e}`),
        cluster: name,
        spiffeId: requireSpiffeId(`spiffe://${trustDomain}/ns/${name}/sa/${service}`),
        locality: { region: name, zone },
        address: { host: '10.0.0.1', port: 15_008 },
      })),
    };
  });
  return { config, bundle: bundleOf(trustDomain), exports, freshness: { kind: 'live' } };
}

function bundleOf(trustDomain: TrustDomain): TrustBundle {
  return {
    trustDomain,
    sequence: 1,
    refreshHintSeconds: 300,
    x509Authorities: [],
    jwtAuthorities: [],
    revoked: [],
  };
}

function configOf(name: ClusterName): ClusterConfig {
  return {
    name,
    instance: 'bench',
    trustDomain: parseTrustDomain(`${name}.example`),
    locality: { region: name, zone: 'zone' },
    network: name,
    gateways: [{ host: '10.0.0.1', port: 15_443 }],
    version: '0',
    startedMs: 0,
    capabilities: [],
  };
}
