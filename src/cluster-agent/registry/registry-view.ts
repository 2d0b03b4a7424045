/**
 * The registry's table as this agent last saw it, and what it says about each cluster.
 *
 * Pure: updates in, a new view out. It never goes backwards (an update older than what is known, from
 * the same store, is ignored), and a store that lost its data does not make clusters disappear: what a
 * different store does not mention stays, stale, until it is published or deleted there.
 */

import type { ClaimedBundle, ClusterClaim, Freshness } from '../../mesh/cluster.ts';
import { messageOf } from '../../mesh/errors.ts';
import { type IntentKey, intentKey } from '../../mesh/intent.ts';
import { type ClusterName, type ServiceKey, serviceKey } from '../../mesh/names.ts';
import type { ExportedService } from '../../mesh/service.ts';
import type { StoredIntent } from '../../wire/registry-intents.ts';
import {
  type BundleRecord,
  idOf,
  type RecordChange,
  type RecordId,
  type RegistryRecord,
  type RegistryUpdate,
  type StoredRecord,
  type WatchPosition,
} from '../../wire/registry-records.ts';
import type { ExportSlice } from '../../wire/registry-slices.ts';
import { digestOf } from '../../wire/registry-updates.ts';
import { parseBundleOffer } from '../../wire/signed-statement.ts';

/** One cluster's records by `recordKey`. */
export type ClusterRecords = ReadonlyMap<string, StoredRecord>;

export interface RegistryView {
  /** Where to resume; undefined before the first update. */
  readonly position: WatchPosition | undefined;
  /** As the store has them. */
  readonly clusters: ReadonlyMap<ClusterName, ClusterRecords>;
  /** What an earlier store had of clusters that this one has no canary of yet. */
  readonly remembered: ReadonlyMap<ClusterName, ClusterRecords>;
  readonly intents: ReadonlyMap<IntentKey, StoredIntent>;
  /** Revocations of an earlier store: one that lost its data must not undo them. */
  readonly rememberedIntents: ReadonlyMap<IntentKey, StoredIntent>;
}

export const EMPTY_VIEW: RegistryView = {
  position: undefined,
  clusters: new Map(),
  remembered: new Map(),
  intents: new Map(),
  rememberedIntents: new Map(),
};

export function recordKey(id: RecordId): string {
  return id.kind === 'export-slice' ? `exports/${id.namespace}/${id.name}/${id.slice}` : id.kind;
}

export function applyUpdate(view: RegistryView, update: RegistryUpdate): RegistryView {
  const { position } = update;
  const sameStore = view.position?.storeId === position.storeId;
  if (sameStore && position.revision < view.position.revision) return view;
  if (update.kind === 'heartbeat') return sameStore ? { ...view, position } : view;
  const clusters =
    update.kind === 'replace-all'
      ? tableOf(update.records)
      : changed(view.clusters, update.changes);
  // The same store's silence about a cluster means that it was deleted; another store's means nothing.
  const candidates = sameStore ? view.remembered : new Map([...view.remembered, ...view.clusters]);
  const remembered = [...candidates].filter(([name]) => clusters.get(name)?.has('synced') !== true);
  const intents =
    update.kind === 'replace-all'
      ? new Map(update.intents.map(stored => [intentKey(stored.intent), stored]))
      : changedIntents(view.intents, update.changes);
  const revoked = sameStore ? view.rememberedIntents : revocations(intentsInForce(view));
  return {
    position,
    clusters,
    remembered: new Map(remembered),
    intents,
    rememberedIntents: revoked,
  };
}

/** As the registry has them, and what an earlier store had revoked. */
export function intentsInForce(view: RegistryView): Map<IntentKey, StoredIntent> {
  return new Map([...view.rememberedIntents, ...view.intents]);
}

/** Whether the view holds what the registry says it should at this position. */
export function holds(view: RegistryView, digest: bigint): boolean {
  const records = [...view.clusters.values()].flatMap(rows => [...rows.values()]);
  return digestOf(records, view.intents.values()) === digest;
}

/** What is to be made of a cluster: as the store has it, or else as an earlier one had it. */
export function recordsInForce(view: RegistryView): Map<ClusterName, ClusterRecords> {
  const withoutLease = [...view.remembered].map(([name, rows]) => {
    const rest = new Map(rows);
    rest.delete('alive');
    return [name, rest] as const;
  });
  return new Map<ClusterName, ClusterRecords>([...view.clusters, ...withoutLease]);
}

function changedIntents(
  before: RegistryView['intents'],
  changes: readonly RecordChange[],
): RegistryView['intents'] {
  const intents = new Map(before);
  for (const change of changes) {
    if (change.kind === 'put-intent') intents.set(intentKey(change.stored.intent), change.stored);
    else if (change.kind === 'delete-intent') intents.delete(change.key);
  }
  return intents;
}

function revocations(intents: ReadonlyMap<IntentKey, StoredIntent>): RegistryView['intents'] {
  return new Map([...intents].filter(([, { intent }]) => intent.kind === 'cluster-revocation'));
}

function tableOf(records: readonly StoredRecord[]): RegistryView['clusters'] {
  const clusters = new Map<ClusterName, Map<string, StoredRecord>>();
  for (const stored of records) {
    const rows = clusters.get(stored.cluster) ?? new Map<string, StoredRecord>();
    clusters.set(stored.cluster, rows.set(recordKey(idOf(stored.record)), stored));
  }
  return clusters;
}

function changed(
  before: RegistryView['clusters'],
  changes: readonly RecordChange[],
): RegistryView['clusters'] {
  const clusters = new Map(before);
  for (const change of changes) {
    if (change.kind === 'put-intent' || change.kind === 'delete-intent') continue;
    const cluster = change.kind === 'put' ? change.stored.cluster : change.cluster;
    const rows = new Map(clusters.get(cluster));
    if (change.kind === 'delete') rows.delete(recordKey(change.id));
    else rows.set(recordKey(idOf(change.stored.record)), change.stored);
    if (rows.size === 0) clusters.delete(cluster);
    else clusters.set(cluster, rows);
  }
  return clusters;
}

export type ClusterState =
  /** No canary: not there yet, or withdrawn. */
  | { readonly kind: 'absent' }
  /** Its agent is in the middle of publishing a new start, or wrote what cannot be read. */
  | { readonly kind: 'unsettled'; readonly reason: string }
  | { readonly kind: 'settled'; readonly claim: Omit<ClusterClaim, 'freshness'> };

export function clusterState(rows: ClusterRecords): ClusterState {
  const known = states.get(rows);
  if (known !== undefined) return known;
  const state = judged(rows);
  states.set(rows, state);
  return state;
}

/** Judged once: an update changes the records of few clusters, and looks at all of them. */
const states = new WeakMap<ClusterRecords, ClusterState>();

function judged(rows: ClusterRecords): ClusterState {
  const config = rows.get('config')?.record;
  const bundle = rows.get('bundle')?.record;
  const synced = rows.get('synced')?.record;
  if (synced?.kind !== 'synced') return { kind: 'absent' };
  if (config?.kind !== 'config') return { kind: 'unsettled', reason: 'synced without its config' };
  if (synced.instance !== config.config.instance) {
    return { kind: 'unsettled', reason: 'its new start is not fully published' };
  }
  const slices = [...rows.values()].flatMap(({ record }) =>
    record.kind === 'export-slice' ? [record.slice] : [],
  );
  return {
    kind: 'settled',
    claim: { config: config.config, bundle: claimedBundle(bundle), exports: joinSlices(slices) },
  };
}

function claimedBundle(record: RegistryRecord | undefined): ClaimedBundle {
  if (record?.kind !== 'bundle') {
    return { kind: 'missing', problem: 'the registry shows no bundle of it' };
  }
  let claimed = claimedBundles.get(record.bundle);
  if (claimed === undefined) {
    try {
      claimed = { kind: 'offered', offer: parseBundleOffer(record.bundle) };
    } catch (error) {
      claimed = { kind: 'unreadable', problem: messageOf(error) };
    }
    claimedBundles.set(record.bundle, claimed);
  }
  return claimed;
}

/** Read once: records are immutable, and every update of any cluster looks at all of them. */
const claimedBundles = new WeakMap<BundleRecord, ClaimedBundle>();

/** Every slice repeats the ports; while they are being rewritten, the lowest slice counts. */
function joinSlices(slices: readonly ExportSlice[]): ExportedService[] {
  const byKey = new Map<ServiceKey, ExportSlice[]>();
  for (const slice of slices) {
    const key = serviceKey(slice.namespace, slice.name);
    const others = byKey.get(key);
    if (others === undefined) byKey.set(key, [slice]);
    else others.push(slice);
  }
  return [...byKey]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, parts]) => joined(parts.sort((a, b) => a.slice - b.slice)));
}

/** None or one; the same as before when its slices are. */
function joined(slices: readonly ExportSlice[]): ExportedService[] {
  const [first] = slices;
  if (first === undefined) return [];
  const known = joinedSlices.get(first);
  const isKnown =
    known?.slices.length === slices.length && known.slices.every((slice, i) => slice === slices[i]);
  if (isKnown) return [known.service];
  const { namespace, name, ports, exportTo } = first;
  const endpoints = slices.flatMap(slice => slice.endpoints);
  const service = { namespace, name, ports, exportTo, endpoints };
  joinedSlices.set(first, { slices, service });
  return [service];
}

/** By the lowest slice. */
const joinedSlices = new WeakMap<
  ExportSlice,
  { readonly slices: readonly ExportSlice[]; readonly service: ExportedService }
>();

/** What this observer knows about a cluster's liveness. */
export interface Liveness {
  readonly alive: boolean;
  readonly observer: 'connected' | 'registry-unreachable' | 'loaded-from-disk';
}

/** Staleness is dated from when it began, so a second look at the same silence keeps the date. */
export function nextFreshness(
  previous: Freshness | undefined,
  { alive, observer }: Liveness,
  nowMs: number,
): Freshness {
  if (observer === 'connected' && alive) return { kind: 'live' };
  const reason = observer === 'connected' ? 'lease-expired' : observer;
  if (previous?.kind === 'stale') {
    if (previous.reason === reason) return previous;
    // A cluster whose lease had run out is no fresher because we lost the registry too.
    if (previous.reason === 'lease-expired') return previous;
  }
  return { kind: 'stale', sinceMs: nowMs, reason };
}
