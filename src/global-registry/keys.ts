/**
 * The layout of the store's keys, in this file and nowhere else.
 *
 *     /isthmus/v1/clusters/<cluster>/{config,bundle,synced,alive}
 *     /isthmus/v1/exports/<cluster>/<namespace>/<service>/<slice>
 *     /isthmus/v1/intents/<kind>/<subject>
 *
 * Every part is a parsed name, so no part can hold a "/" and no two records share a key.
 */

import { type IntentKey, parseIntentKey } from '../mesh/intent.ts';
import { type ClusterName, isDnsLabel, type Namespace, type ServiceName } from '../mesh/names.ts';
import type { RecordId } from '../wire/registry-records.ts';

export const KEY_PREFIX = '/isthmus/v1/';

export type TableKey =
  | ({ readonly kind: 'record' } & RecordKey)
  | { readonly kind: 'intent'; readonly intent: IntentKey };

export interface RecordKey {
  readonly cluster: ClusterName;
  readonly id: RecordId;
}

export function formatKey({ cluster, id }: RecordKey): string {
  return id.kind === 'export-slice'
    ? `${KEY_PREFIX}exports/${cluster}/${id.namespace}/${id.name}/${id.slice}`
    : `${KEY_PREFIX}clusters/${cluster}/${id.kind}`;
}

export function formatIntentKey(intent: IntentKey): string {
  return `${KEY_PREFIX}intents/${intent}`;
}

/** Under which all records of one cluster are: itself first, then what it exports. */
export function clusterPrefixes(cluster: ClusterName): readonly string[] {
  return [`${KEY_PREFIX}clusters/${cluster}/`, `${KEY_PREFIX}exports/${cluster}/`];
}

/** Undefined for a key that is not made here. */
export function parseKey(key: string): TableKey | undefined {
  if (!key.startsWith(KEY_PREFIX)) return undefined;
  const [table, ...parts] = key.slice(KEY_PREFIX.length).split('/');
  switch (table) {
    case 'clusters':
      return recordKey(parts, singleton);
    case 'exports':
      return recordKey(parts, slice);
    case 'intents': {
      const intent = parseIntentKey(parts.join('/'));
      return intent === undefined ? undefined : { kind: 'intent', intent };
    }
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
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(number)) return undefined;
  return {
    kind: 'export-slice',
    namespace: namespace as Namespace,
    name: name as ServiceName,
    slice: Number(number),
  };
}
