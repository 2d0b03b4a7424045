/**
 * The registry's records as mesh nouns, and their protobuf form.
 *
 * What one cluster tells the others travels as these records: from the agent to the registry, in the
 * store, and back out to every agent. Decoding validates everything a reader relies on and throws
 * REQUEST_INVALID naming the field and the value found; it never trusts the sender. Which cluster a
 * record belongs to is never in the record itself: the registry knows it from the certificate.
 */

import type { ClusterConfig } from '../mesh/cluster.ts';
import { messageOf } from '../mesh/errors.ts';
import type { IntentKey } from '../mesh/intent.ts';
import {
  type ClusterName,
  type Namespace,
  parseClusterName,
  type ServiceName,
} from '../mesh/names.ts';
import { parseTrustDomain } from '../mesh/spiffe-id.ts';
import type { TrustAck } from '../mesh/trust-acks.ts';
import * as pb from './generated/isthmus/registry/v1/registry.ts';
import {
  atMost,
  decodeAddress,
  decodeLocality,
  invalid,
  refusing,
  text,
} from './registry-fields.ts';
import type { StoredIntent } from './registry-intents.ts';
import { decodeSlice, decodeSliceId, type ExportSlice, encodeSlice } from './registry-slices.ts';
import { decodeTrustAcks, encodeTrustAcks } from './registry-trust-acks.ts';

const GATEWAYS_MAX = 16;
const CAPABILITIES_MAX = 64;

export type RegistryRecord =
  | { readonly kind: 'config'; readonly config: ClusterConfig }
  | { readonly kind: 'bundle'; readonly bundle: BundleRecord }
  | { readonly kind: 'export-slice'; readonly slice: ExportSlice }
  /** Written last: readers act on a cluster only once this is there. */
  | { readonly kind: 'synced'; readonly instance: string }
  /** Bound to the agent's lease. */
  | { readonly kind: 'alive'; readonly instance: string }
  /** What this cluster's proxies verify with. */
  | { readonly kind: 'trust-acks'; readonly acks: readonly TrustAck[] };

export interface BundleRecord {
  /** A signed bundle version, exactly as its cluster wrote it; read it with wire/signed-statement.ts. */
  readonly signed: Uint8Array;
  /** Earlier ones, for readers that missed them. */
  readonly predecessors: readonly Uint8Array[];
}

/** Names a record inside one cluster's part of the table. */
export type RecordId =
  | { readonly kind: 'config' | 'bundle' | 'synced' | 'alive' | 'trust-acks' }
  | {
      readonly kind: 'export-slice';
      readonly namespace: Namespace;
      readonly name: ServiceName;
      readonly slice: number;
    };

export interface StoredRecord {
  readonly cluster: ClusterName;
  readonly record: RegistryRecord;
  /** Of the last write to this record. */
  readonly revision: bigint;
}

export type RecordChange =
  | { readonly kind: 'put'; readonly stored: StoredRecord }
  | { readonly kind: 'delete'; readonly cluster: ClusterName; readonly id: RecordId }
  | { readonly kind: 'put-intent'; readonly stored: StoredIntent }
  | { readonly kind: 'delete-intent'; readonly key: IntentKey };

/** Where a watch stands; a revision means nothing outside its store. */
export interface WatchPosition {
  readonly storeId: string;
  readonly revision: bigint;
}

export type RegistryUpdate =
  | {
      readonly kind: 'replace-all';
      readonly position: WatchPosition;
      readonly records: readonly StoredRecord[];
      readonly intents: readonly StoredIntent[];
    }
  /** Empty right after a resume that missed nothing. */
  | {
      readonly kind: 'changes';
      readonly position: WatchPosition;
      readonly changes: readonly RecordChange[];
    }
  /** What the reader should hold at this position: `TableDigest` over the records it can read. */
  | { readonly kind: 'heartbeat'; readonly position: WatchPosition; readonly digest: bigint };

export function idOf(record: RegistryRecord): RecordId {
  if (record.kind !== 'export-slice') return { kind: record.kind };
  const { namespace, name, slice } = record.slice;
  return { kind: 'export-slice', namespace, name, slice };
}

/** Where a record is in the table, whoever keeps it. */
export function tableKey(cluster: ClusterName, id: RecordId): string {
  return id.kind === 'export-slice'
    ? `exports/${cluster}/${id.namespace}/${id.name}/${id.slice}`
    : `clusters/${cluster}/${id.kind}`;
}

function encodeRecord(record: RegistryRecord): pb.Record {
  switch (record.kind) {
    case 'config':
      return { kind: { $case: 'config', value: encodeConfig(record.config) } };
    case 'bundle': {
      const signed = Buffer.from(record.bundle.signed);
      const predecessors = record.bundle.predecessors.map(each => Buffer.from(each));
      return { kind: { $case: 'bundle', value: { signed, predecessors } } };
    }
    case 'export-slice':
      return { kind: { $case: 'exportSlice', value: encodeSlice(record.slice) } };
    case 'synced':
      return { kind: { $case: 'synced', value: { instance: record.instance } } };
    case 'alive':
      return { kind: { $case: 'alive', value: { instance: record.instance } } };
    case 'trust-acks':
      return { kind: { $case: 'trustAcks', value: encodeTrustAcks(record.acks) } };
  }
}

/** `cluster` is the record's owner, known from its certificate or its key. Throws REQUEST_INVALID. */
export function decodeRecord(message: pb.Record | undefined, cluster: ClusterName): RegistryRecord {
  return refusing(() => {
    switch (message?.kind?.$case) {
      case 'config':
        return { kind: 'config', config: decodeConfig(message.kind.value) };
      case 'bundle': {
        const { signed, predecessors } = message.kind.value;
        return { kind: 'bundle', bundle: { signed, predecessors } };
      }
      case 'exportSlice':
        return { kind: 'export-slice', slice: decodeSlice(message.kind.value, cluster) };
      case 'synced':
        return { kind: 'synced', instance: text('instance', message.kind.value.instance) };
      case 'alive':
        return { kind: 'alive', instance: text('instance', message.kind.value.instance) };
      case 'trustAcks':
        return { kind: 'trust-acks', acks: decodeTrustAcks(message.kind.value) };
      case undefined:
        throw invalid('record has no kind this version knows');
    }
  });
}

/** A record as the store keeps it. */
export function formatRecord(record: RegistryRecord): Uint8Array {
  return pb.Record.encode(encodeRecord(record)).finish();
}

/** Throws REQUEST_INVALID for anything `formatRecord` does not write. */
export function parseRecord(bytes: Uint8Array, cluster: ClusterName): RegistryRecord {
  let message: pb.Record;
  try {
    message = pb.Record.decode(bytes);
  } catch (error) {
    throw invalid(`record of ${bytes.length} bytes is not protobuf: ${messageOf(error)}`);
  }
  return decodeRecord(message, cluster);
}

export function encodeRecordId(id: RecordId): pb.RecordId {
  if (id.kind !== 'export-slice') {
    return { kind: { $case: 'singleton', value: SINGLETON[id.kind] } };
  }
  const { namespace, name, slice } = id;
  return { kind: { $case: 'slice', value: { namespace, service: name, slice } } };
}

/** Throws REQUEST_INVALID. */
export function decodeRecordId(message: pb.RecordId | undefined): RecordId {
  return refusing(() => {
    const kind = message?.kind;
    if (kind?.$case === 'slice') return { kind: 'export-slice', ...decodeSliceId(kind.value) };
    for (const name of SINGLETON_KINDS) if (SINGLETON[name] === kind?.value) return { kind: name };
    throw invalid('record id names no record this version knows');
  });
}

const SINGLETON_KINDS = ['config', 'bundle', 'synced', 'alive', 'trust-acks'] as const;
const SINGLETON = {
  config: pb.Singleton.CONFIG,
  bundle: pb.Singleton.BUNDLE,
  synced: pb.Singleton.SYNCED,
  alive: pb.Singleton.ALIVE,
  'trust-acks': pb.Singleton.TRUST_ACKS,
} as const;

function encodeConfig(config: ClusterConfig): pb.ClusterConfig {
  return {
    ...config,
    locality: { ...config.locality },
    gateways: [...config.gateways],
    capabilities: [...config.capabilities],
    startedMs: BigInt(config.startedMs),
  };
}

function decodeConfig(config: pb.ClusterConfig): ClusterConfig {
  return {
    name: parseClusterName(config.name),
    instance: text('instance', config.instance),
    trustDomain: parseTrustDomain(config.trustDomain),
    locality: decodeLocality(config.locality),
    network: text('network', config.network),
    gateways: atMost('gateways', GATEWAYS_MAX, config.gateways).map(decodeAddress),
    version: text('version', config.version),
    capabilities: atMost('capabilities', CAPABILITIES_MAX, config.capabilities).map(name =>
      text('capability', name),
    ),
    startedMs: Number(config.startedMs),
  };
}
