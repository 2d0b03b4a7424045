/**
 * The layout of the store's keys, in this file and nowhere else.
 *
 *     /isthmus/v1/clusters/<cluster>/{config,bundle,synced,alive}
 *     /isthmus/v1/exports/<cluster>/<namespace>/<service>/<slice>
 *     /isthmus/v1/intents/<kind>/<subject>
 *
 * and, for the registry processes alone:
 *
 *     /isthmus/v1/domains/<trust domain>      the cluster that has it
 *     /isthmus/v1/rivals/<cluster>            a second agent that claimed to be the cluster
 *     /isthmus/v1/audit/<time>-<random>       one entry of the journal
 *     /isthmus/v1/epoch                       how often operators have confirmed a rewound store
 *     /isthmus/v1/tokens/…                    not mirrored: read when it is needed
 *
 * Every part is a parsed name, so no part can hold a "/" and no two records share a key.
 */

import { type IntentKey, parseIntentKey } from '../mesh/intent.ts';
import { type ClusterName, isDnsLabel, type Namespace, type ServiceName } from '../mesh/names.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import { type RecordId, tableKey } from '../wire/registry-records.ts';

export const KEY_PREFIX = '/isthmus/v1/';
export const EPOCH_KEY = `${KEY_PREFIX}epoch`;
const AUDIT_PREFIX = `${KEY_PREFIX}audit/`;
const TOKENS_PREFIX = `${KEY_PREFIX}tokens/`;

export type PrivateTable = 'domains' | 'rivals' | 'audit' | 'epoch';

export type TableKey =
  | ({ readonly kind: 'record' } & RecordKey)
  | { readonly kind: 'intent'; readonly intent: IntentKey }
  | { readonly kind: 'private'; readonly table: PrivateTable };

export interface RecordKey {
  readonly cluster: ClusterName;
  readonly id: RecordId;
}

export function formatKey({ cluster, id }: RecordKey): string {
  return KEY_PREFIX + tableKey(cluster, id);
}

export function formatIntentKey(intent: IntentKey): string {
  return `${KEY_PREFIX}intents/${intent}`;
}

/** Under which all records of one cluster are: itself first, then what it exports. */
export function clusterPrefixes(cluster: ClusterName): readonly string[] {
  return [`${KEY_PREFIX}clusters/${cluster}/`, `${KEY_PREFIX}exports/${cluster}/`];
}

export function domainKey(trustDomain: TrustDomain): string {
  return `${KEY_PREFIX}domains/${trustDomain}`;
}

export function rivalKey(cluster: ClusterName): string {
  return `${KEY_PREFIX}rivals/${cluster}`;
}

/** Sorts by time; `random` tells apart what happened in one millisecond. */
export function auditKey(atMs: number, random: string): string {
  return `${AUDIT_PREFIX}${String(atMs).padStart(15, '0')}-${random}`;
}

/** The part of a key that agents know too; see wire/table-digest.ts. */
export function sharedKey(key: string): string {
  return key.slice(KEY_PREFIX.length);
}

/** Whether the key belongs into the copy that every registry process keeps. */
export function isMirrored(key: string): boolean {
  return key.startsWith(KEY_PREFIX) && !key.startsWith(TOKENS_PREFIX);
}

/** Undefined for a key that is not made here. */
export function parseKey(key: string): TableKey | undefined {
  if (!key.startsWith(KEY_PREFIX)) return undefined;
  const [table, ...parts] = sharedKey(key).split('/');
  switch (table) {
    case 'clusters':
      return recordKey(parts, singleton);
    case 'exports':
      return recordKey(parts, slice);
    case 'intents': {
      const intent = parseIntentKey(parts.join('/'));
      return intent === undefined ? undefined : { kind: 'intent', intent };
    }
    case 'domains':
    case 'rivals':
    case 'audit':
      return parts.length === 1 && parts[0] !== '' ? { kind: 'private', table } : undefined;
    case 'epoch':
      return parts.length === 0 ? { kind: 'private', table } : undefined;
    default:
      return undefined;
  }
}

/** As operators see it: `config`, or `exports/<namespace>/<service>/<slice>`. */
export function describeRecord(id: RecordId): string {
  return id.kind === 'export-slice' ? `exports/${id.namespace}/${id.name}/${id.slice}` : id.kind;
}

function recordKey(
  [cluster = '', ...rest]: readonly string[],
  parse: (parts: readonly string[]) => RecordId | undefined,
): TableKey | undefined {
  const id = parse(rest);
  if (id === undefined || !isDnsLabel(cluster)) return undefined;
  return { kind: 'record', cluster: cluster as ClusterName, id };
}

function singleton(parts: readonly string[]): RecordId | undefined {
  const [kind] = parts;
  if (parts.length !== 1) return undefined;
  return kind === 'config' ||
    kind === 'bundle' ||
    kind === 'synced' ||
    kind === 'alive' ||
    kind === 'trust-acks'
    ? { kind }
    : undefined;
}

function slice(parts: readonly string[]): RecordId | undefined {
  const [namespace = '', name = '', number = ''] = parts;
  if (parts.length !== 3 || !isDnsLabel(namespace) || !isDnsLabel(name)) return undefined;
  if (!/^(?:0|[1-9][0-9]{0,3})$/.test(number)) return undefined;
  return {
    kind: 'export-slice',
    namespace: namespace as Namespace,
    name: name as ServiceName,
    slice: Number(number),
  };
}
