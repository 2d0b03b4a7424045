/**
 * What one class of proxies should hold: xDS resources, encoded once and shared by all its streams.
 *
 * A version is a hash of the bytes, so it means the same after a restart and a proxy that reconnects is
 * sent only what differs. Each snapshot is made from the one before it and shares with it what did not
 * change; once made, it stays as it is.
 */

import { createHash } from 'node:crypto';
import type { Guests } from '../../mesh/callers.ts';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import type { ServicePolicy } from '../../mesh/failover-policy.ts';
import type { ImportedService } from '../../mesh/imports.ts';
import type { Locality } from '../../mesh/locality.ts';
import type { ClusterName, ServiceKey } from '../../mesh/names.ts';
import type { Spills } from '../../mesh/outbound.ts';
import type { ExportedService, LocalService } from '../../mesh/service.ts';
import type { Steering } from '../../mesh/steering.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { RESOURCE_ORDER, type ResourceType, type XdsResource } from '../../wire/xds/resource.ts';
import { BUNDLES_SECRET, formatBundles } from '../../wire/xds/secret.ts';
import type { Withdrawn } from '../registry/withdrawals.ts';
import { SharedMap } from './shared-map.ts';

export interface MeshState {
  readonly cluster: ClusterConfig;
  readonly services: ReadonlyMap<ServiceKey, LocalService>;
  readonly exports: readonly ExportedService[];
  readonly imports: ReadonlyMap<ServiceKey, ImportedService>;
  /** How to reach each cluster, our own included. */
  readonly clusters: ReadonlyMap<ClusterName, ClusterConfig>;
  readonly bundles: readonly TrustBundle[];
  readonly guests: Guests;
  /** How this cluster calls services. */
  readonly policies: ReadonlyMap<ServiceKey, ServicePolicy>;
  readonly spills: Spills;
  readonly steering: Steering;
  /** Taken back lately, by service. */
  readonly withdrawn: {
    readonly services: ReadonlyMap<ServiceKey, Withdrawn<LocalService>>;
    readonly imports: ReadonlyMap<ServiceKey, Withdrawn<ImportedService>>;
  };
  /**
   * False until the other clusters are known, from the registry or from disk. Until then only what this
   * cluster knows by itself is sent and nothing is taken back: proxies may know more than we do.
   */
  readonly complete: boolean;
}

export type ProxyClass =
  | { readonly kind: 'sidecar'; readonly locality: Locality }
  | { readonly kind: 'gateway' };

export interface Snapshot {
  readonly complete: boolean;
  readonly types: Readonly<Record<ResourceType, TypeSnapshot>>;
}

export interface TypeSnapshot {
  /** Of all resources together. */
  readonly version: string;
  readonly resources: Pick<SharedMap<XdsResource>, 'get' | 'has' | 'values'>;
}

export interface ResourceChange {
  readonly type: ResourceType;
  readonly name: string;
  /** Undefined: it is no more. */
  readonly bytes: Buffer | undefined;
}

interface Part {
  readonly version: bigint;
  readonly resources: SharedMap<XdsResource>;
}

export class Snapshots {
  readonly #source: { changes(state: MeshState): ResourceChange[] };
  readonly #parts = new Map<ResourceType, Part>();
  #latest: Snapshot | undefined;

  /** `source` says what is to be held otherwise than the last time. */
  constructor(source: { changes(state: MeshState): ResourceChange[] }) {
    this.#source = source;
  }

  /** The same snapshot as before when nothing is to be held otherwise. */
  next(state: MeshState): Snapshot {
    const { complete } = state;
    const changes = this.#source.changes(state);
    if (complete) changes.push(bundlesOf(state));
    const hasChanged = this.#apply(changes);
    if (!hasChanged && this.#latest?.complete === complete) return this.#latest;
    const types = RESOURCE_ORDER.map((type): [ResourceType, TypeSnapshot] => {
      const { version, resources } = this.#parts.get(type) ?? EMPTY;
      return [type, { version: version.toString(16).padStart(16, '0'), resources }];
    });
    this.#latest = { complete, types: Object.fromEntries(types) as Snapshot['types'] };
    return this.#latest;
  }

  #apply(changes: readonly ResourceChange[]): boolean {
    const byType = new Map<ResourceType, Map<string, XdsResource | undefined>>();
    const versions = new Map<ResourceType, bigint>();
    for (const { type, name, bytes } of changes) {
      const part = this.#parts.get(type) ?? EMPTY;
      const changed = byType.get(type) ?? new Map<string, XdsResource | undefined>();
      const before = changed.has(name) ? changed.get(name) : part.resources.get(name);
      if (bytes !== undefined && before?.bytes === bytes) continue;
      const after = bytes === undefined ? undefined : { name, version: shortHash(bytes), bytes };
      if (before?.version === after?.version) continue;
      byType.set(type, changed.set(name, after));
      const version = versions.get(type) ?? part.version;
      versions.set(type, version ^ numberOf(before) ^ numberOf(after));
    }
    for (const [type, changed] of byType) {
      const part = this.#parts.get(type) ?? EMPTY;
      const version = versions.get(type) ?? part.version;
      this.#parts.set(type, { version, resources: part.resources.with(changed) });
    }
    return byType.size > 0;
  }
}

const EMPTY: Part = { version: 0n, resources: new SharedMap() };

/** All of a type together have one version, in whatever order they came: the bytes of each hold its name. */
function numberOf(resource: XdsResource | undefined): bigint {
  return resource === undefined ? 0n : BigInt(`0x${resource.version}`);
}

/** Equal state must give equal bytes, in whatever order it was learned. */
function bundlesOf({ bundles }: MeshState): ResourceChange {
  const inOrder = [...bundles].sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1));
  return { type: 'secret', name: BUNDLES_SECRET, bytes: formatBundles(inOrder) };
}

function shortHash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
