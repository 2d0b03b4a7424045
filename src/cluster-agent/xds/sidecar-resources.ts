/**
 * What a class of sidecars is to hold otherwise than before: upstreams of services that changed, and the
 * routes to them where one came or went.
 */

import type { ImportedService } from '../../mesh/imports.ts';
import type { Locality } from '../../mesh/locality.ts';
import { hostsOf, importedUpstreams, localUpstreams, type Vantage } from '../../mesh/outbound.ts';
import { type HostScope, keyOf, type LocalService } from '../../mesh/service.ts';
import { steer } from '../../mesh/steering.ts';
import type { Upstream, UpstreamName } from '../../mesh/upstream.ts';
import { formatSni } from '../../wire/sni.ts';
import { formatCluster } from '../../wire/xds/cluster.ts';
import { formatLoadAssignment } from '../../wire/xds/load-assignment.ts';
import { formatHostRoutes } from '../../wire/xds/route-configuration.ts';
import { callersResources } from './callers-resources.ts';
import type { MeshState, ResourceChange } from './snapshot.ts';
import { type ToldChange, type ToldUpstream, ToldUpstreams } from './told-upstreams.ts';
import { WrittenResources } from './written-resources.ts';

export class SidecarResources {
  readonly #locality: Locality;
  readonly #callers = new WrittenResources();
  readonly #local = new ToldUpstreams<LocalService>();
  readonly #imported = new ToldUpstreams<ImportedService>();
  readonly #routes = {
    cluster: new RouteTables('cluster'),
    clusterset: new RouteTables('clusterset'),
  };

  constructor(locality: Locality) {
    this.#locality = locality;
  }

  changes(state: MeshState): ResourceChange[] {
    const { services, imports, withdrawn, policies } = state;
    const vantage: Vantage = {
      locality: this.#locality,
      network: state.cluster.network,
      clusters: state.clusters,
      policies,
      spills: state.spills,
    };
    const context = contextOf(state);
    const local = this.#local.changes({
      services,
      withdrawn: withdrawn.services,
      policies,
      context,
      upstreamsOf: each => localUpstreams(each, vantage, formatSni),
    });
    const imported = !state.complete
      ? []
      : this.#imported.changes({
          services: imports,
          withdrawn: withdrawn.imports,
          policies,
          context,
          upstreamsOf: each =>
            importedUpstreams(each, vantage, formatSni).map(upstream =>
              steer(upstream, keyOf(each), state.steering),
            ),
        });
    return [
      ...(state.complete ? this.#callers.changes(callersResources(state)) : []),
      ...[...local, ...imported].flatMap(upstreamChanges),
      ...this.#routes.cluster.changes(local),
      ...this.#routes.clusterset.changes(imported),
    ];
  }
}

/** What is looked at service by service, or has no part in upstreams. */
const NO_CONTEXT: ReadonlySet<string> = new Set<keyof MeshState>([
  'services',
  'exports',
  'imports',
  'bundles',
  'guests',
  'clusters',
  'withdrawn',
  'policies',
]);

/** Everything else, so that what is added to the state is not forgotten here. */
function contextOf(state: MeshState): unknown[] {
  const common = Object.entries(state).filter(([name]) => !NO_CONTEXT.has(name));
  return [...common.map(([, value]) => value as unknown), ...state.clusters.values()];
}

function upstreamChanges({ before, after }: ToldChange): ResourceChange[] {
  const names = new Set(after.map(({ upstream }) => upstream.name));
  const removed = before.filter(({ upstream }) => !names.has(upstream.name));
  return [
    ...removed.flatMap(({ upstream: { name } }): ResourceChange[] => [
      { type: 'cluster', name, bytes: undefined },
      { type: 'load-assignment', name, bytes: undefined },
    ]),
    ...after.flatMap(upstreamResources),
  ];
}

function upstreamResources({ upstream, withdrawn }: ToldUpstream): ResourceChange[] {
  const { name, protocol, policy, endpoints } = upstream;
  const identities = [...new Set(endpoints.map(({ spiffeId }) => spiffeId))].sort();
  const cluster = formatCluster({ kind: 'upstream', name, protocol, policy, identities });
  return [
    { type: 'cluster', name, bytes: cluster },
    { type: 'load-assignment', name, bytes: formatLoadAssignment({ ...upstream, withdrawn }) },
  ];
}

/**
 * One route configuration a scope and port: what is only local never waits for what is imported. It
 * depends on the upstreams' names alone, which change seldom.
 */
class RouteTables {
  readonly #scope: HostScope;
  readonly #ports = new Map<number, Map<UpstreamName, Upstream>>();

  constructor(scope: HostScope) {
    this.#scope = scope;
  }

  changes(told: readonly ToldChange[]): ResourceChange[] {
    const stale = new Set<number>();
    for (const { before, after } of told) {
      const names = new Set(callable(after).map(({ name }) => name));
      for (const { name, port } of callable(before)) {
        if (!names.has(name) && this.#ports.get(port)?.delete(name) === true) stale.add(port);
      }
      for (const upstream of callable(after)) {
        const { name, port } = upstream;
        const table = this.#ports.get(port) ?? new Map<UpstreamName, Upstream>();
        this.#ports.set(port, table);
        if (!table.has(name)) stale.add(port);
        table.set(name, upstream);
      }
    }
    return [...stale].map(port => this.#table(port));
  }

  #table(port: number): ResourceChange {
    const name = `${this.#scope}:${port}`;
    const upstreams = [...(this.#ports.get(port)?.values() ?? [])];
    if (upstreams.length === 0) return { type: 'route-configuration', name, bytes: undefined };
    const hosts = upstreams.sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(hostsOf);
    return { type: 'route-configuration', name, bytes: formatHostRoutes({ name, hosts }) };
  }
}

function callable(told: readonly ToldUpstream[]): Upstream[] {
  return told.flatMap(({ upstream, isGone }) => (isGone ? [] : [upstream]));
}
