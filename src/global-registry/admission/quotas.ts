/** How much one cluster may keep in the table: what it would have after a publish, against the limits. */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { keyOf } from '../../mesh/service.ts';
import type { RegistryRecord } from '../../wire/registry-records.ts';
import {
  CLUSTER_BYTES_MAX,
  CLUSTER_ENDPOINTS_MAX,
  CLUSTER_RECORDS_MAX,
  CLUSTER_SERVICES_MAX,
} from '../limits.ts';

/** A record and its size in the store. */
export interface Stored {
  readonly record: RegistryRecord;
  readonly bytes: number;
}

/** Throws LIMIT_EXCEEDED naming what was found, the limit and what to do. */
export function checkQuotas(cluster: ClusterName, stored: Iterable<Stored>): void {
  const services = new Set<string>();
  let records = 0;
  let endpoints = 0;
  let bytes = 0;
  for (const { record, bytes: size } of stored) {
    records += 1;
    bytes += size;
    if (record.kind !== 'export-slice') continue;
    services.add(keyOf(record.slice));
    endpoints += record.slice.endpoints.length;
  }
  const check = (found: number, max: number, what: string, advice: string): void => {
    if (found <= max) return;
    throw new MeshError(
      'LIMIT_EXCEEDED',
      `cluster "${cluster}" would have ${found} ${what}, at most ${max} are accepted; ${advice}`,
    );
  };
  check(services.size, CLUSTER_SERVICES_MAX, 'exported services', 'export fewer of them');
  check(endpoints, CLUSTER_ENDPOINTS_MAX, 'exported endpoints', 'export fewer services');
  check(records, CLUSTER_RECORDS_MAX, 'records', 'export fewer services');
  check(bytes, CLUSTER_BYTES_MAX, 'bytes of records', 'export fewer services');
}
