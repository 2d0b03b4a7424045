/** How much one cluster may keep in the table: what it would have after a publish, against the limits. */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import {
  CLUSTER_BYTES_MAX,
  CLUSTER_ENDPOINTS_MAX,
  CLUSTER_RECORDS_MAX,
  CLUSTER_SERVICES_MAX,
} from '../limits.ts';
import type { Totals } from '../table/usage.ts';

/** Throws LIMIT_EXCEEDED naming what was found, the limit and what to do. */
export function checkQuotas(
  cluster: ClusterName,
  { services, endpoints, records, bytes }: Totals,
): void {
  const check = (found: number, max: number, what: string, advice: string): void => {
    if (found <= max) return;
    throw new MeshError(
      'LIMIT_EXCEEDED',
      `cluster "${cluster}" would have ${found} ${what}, at most ${max} are accepted; ${advice}`,
    );
  };
  check(services, CLUSTER_SERVICES_MAX, 'exported services', 'export fewer of them');
  check(endpoints, CLUSTER_ENDPOINTS_MAX, 'exported endpoints', 'export fewer services');
  check(records, CLUSTER_RECORDS_MAX, 'records', 'export fewer services');
  check(bytes, CLUSTER_BYTES_MAX, 'bytes of records', 'export fewer services');
}
