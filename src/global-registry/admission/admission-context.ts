/** What a publish is judged by: who sends it, and the table as it is. */

import type { BundleProofs } from '../../mesh/bundle-succession.ts';
import type { ClusterName } from '../../mesh/names.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { RegistryTable } from '../table/table.ts';

export interface AdmissionContext {
  readonly caller: ClusterName;
  readonly clusterSet: TrustDomain;
  readonly table: RegistryTable;
  readonly ownsLease: (leaseId: string) => boolean;
  readonly proofs: BundleProofs;
}
