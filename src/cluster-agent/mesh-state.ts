/**
 * The agent's middle: from what was discovered here and believed of others to what proxies are told.
 * Collections derived from collections; every decision is a pure function in mesh/.
 */

import type { Guests } from '../mesh/callers.ts';
import type { ClusterConfig, ClusterRecord } from '../mesh/cluster.ts';
import { type Collection, derive, type ObservableInput } from '../mesh/collection.ts';
import { exportedService } from '../mesh/exports.ts';
import type { ServicePolicy } from '../mesh/failover-policy.ts';
import type { ImportedService } from '../mesh/imports.ts';
import { type Intent, type IntentKey, intentKey } from '../mesh/intent.ts';
import type { ClusterName, ServiceKey } from '../mesh/names.ts';
import { usableExports } from '../mesh/ownership.ts';
import { type ExportedService, keyOf, type LocalService } from '../mesh/service.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import type { Steering } from '../mesh/steering.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import type { Task } from '../runtime/supervise.ts';
import { ImportTable, type Offer } from './import-table.ts';
import type { ClusterVerdict } from './liveness.ts';
import { type LoadKey, loadKey } from './proxies/endpoint-loads.ts';
import { Withdrawals } from './registry/withdrawals.ts';
import type { MeshState } from './xds/snapshot.ts';

export interface DerivedMesh {
  readonly exports: Collection<ServiceKey, ExportedService>;
  readonly imports: Collection<ServiceKey, ImportedService>;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  /** What was taken back lately; they forget by and by. */
  readonly withdrawals: readonly Task[];
  /** All that `state` is made of. */
  readonly inputs: readonly ObservableInput[];
  /** All but what spills, which is worked out from it. */
  readonly state: () => Omit<MeshState, 'spills'>;
}

export interface MeshInputs {
  readonly own: ClusterConfig;
  readonly services: Collection<ServiceKey, LocalService>;
  /** Of our own endpoints. */
  readonly loads: Collection<LoadKey, number>;
  readonly members: Collection<ClusterName, ClusterRecord>;
  /** Whom to trust, by where it is known from; the first that names a trust domain decides. */
  readonly bundles: readonly Collection<TrustDomain, TrustBundle>[];
  readonly guests: Guests;
  readonly policies: Collection<ServiceKey, ServicePolicy>;
  readonly intents: Collection<IntentKey, Intent>;
  readonly verdicts: Collection<ClusterName, ClusterVerdict>;
  readonly steering: { current(): Steering } & ObservableInput;
  /** Whether the members are known, and a way to hear of it. */
  readonly known: { readonly hasView: boolean } & ObservableInput;
  readonly now: () => number;
}

export function deriveMesh(inputs: MeshInputs): DerivedMesh {
  const { own, services, loads, members, bundles: sources, guests, policies, verdicts } = inputs;
  const { intents, steering, known, now } = inputs;
  const exports = derive('exports', [services, loads], () =>
    [...services.entries().values()]
      .map(service => withLoads(service, loads))
      .map(exportedService)
      .flatMap(service => (service === undefined ? [] : [[keyOf(service), service] as const])),
  );
  const ownersOf = ({ namespace, name }: ExportedService): readonly ClusterName[] | undefined => {
    const key = intentKey({ kind: 'service-ownership', namespace, name, clusters: [] });
    const intent = intents.get(key);
    return intent?.kind === 'service-ownership' ? intent.clusters : undefined;
  };
  const imports = importsOf(inputs, exports, (cluster, record) =>
    usableExports(own.name, cluster, record.exports, ownersOf),
  );
  const bundles = derive('bundles', sources, () =>
    sources.toReversed().flatMap(source => [...source.entries()]),
  );
  const gone = {
    services: new Withdrawals<LocalService>(services, now),
    imports: new Withdrawals<ImportedService>(imports, now),
  };
  return {
    exports,
    imports,
    bundles,
    withdrawals: [gone.services, gone.imports],
    inputs: [
      services,
      imports,
      gone.services,
      gone.imports,
      members,
      bundles,
      policies,
      verdicts,
      steering,
      known,
    ],
    state: () => ({
      cluster: own,
      services: services.entries(),
      exports: [...exports.entries().values()],
      imports: imports.entries(),
      clusters: new Map([
        ...[...members.entries()].map(([name, { config }]) => [name, config] as const),
        [own.name, own] as const,
      ]),
      bundles: [...bundles.entries().values()],
      guests,
      policies: policies.entries(),
      steering: withReturns(steering.current(), verdicts.entries()),
      withdrawn: { services: gone.services.current(), imports: gone.imports.current() },
      complete: known.hasView,
    }),
  };
}

/** What a cluster offers is looked through again when it says something else, or the operators do. */
function importsOf(
  { own, members, intents, verdicts }: MeshInputs,
  exports: Collection<ServiceKey, ExportedService>,
  usable: (cluster: ClusterName, record: ClusterRecord) => readonly ExportedService[],
): Collection<ServiceKey, ImportedService> {
  const table = new ImportTable();
  let ours = [...exports.entries().values()];
  let theirs = new Map<ClusterName, Looked>();
  const refresh = (): void => {
    const isServed = (cluster: ClusterName): boolean => verdicts.get(cluster)?.isServed ?? true;
    const before = theirs;
    theirs = new Map();
    const offers = new Map<ClusterName, Offer>();
    offers.set(own.name, { exports: ours, isServed: isServed(own.name) });
    for (const [cluster, record] of members.entries()) {
      const known = before.get(cluster);
      const looked =
        known?.all === record.exports
          ? known
          : { all: record.exports, usable: usable(cluster, record) };
      theirs.set(cluster, looked);
      offers.set(cluster, { exports: looked.usable, isServed: isServed(cluster) });
    }
    table.refresh(offers);
  };
  refresh();
  exports.observe(() => {
    ours = [...exports.entries().values()];
    refresh();
  });
  intents.observe(() => {
    theirs = new Map();
    refresh();
  });
  for (const input of [members, verdicts]) input.observe(refresh);
  return table.services;
}

interface Looked {
  readonly all: readonly ExportedService[];
  readonly usable: readonly ExportedService[];
}

function withLoads(service: LocalService, loads: Collection<LoadKey, number>): LocalService {
  const key = keyOf(service);
  return {
    ...service,
    endpoints: service.endpoints.map(endpoint => {
      const load = loads.get(loadKey(key, endpoint.workload));
      return load === undefined ? endpoint : { ...endpoint, load };
    }),
  };
}

/** A cluster that has come back from the dead is given its share little by little. */
function withReturns(
  steering: Steering,
  verdicts: ReadonlyMap<ClusterName, ClusterVerdict>,
): Steering {
  const returning = [...verdicts].filter(([, { availability }]) => availability < 100);
  if (returning.length === 0) return steering;
  const availability = new Map(steering.availability);
  for (const [cluster, { availability: percent }] of returning) {
    availability.set(cluster, ((availability.get(cluster) ?? 100) * percent) / 100);
  }
  return { ...steering, availability };
}
