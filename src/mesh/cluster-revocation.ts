/** What the ClusterSet's authority says of a cluster: that it is a member no more, or again. */

import type { IntentKey } from './intent.ts';
import type { ClusterName } from './names.ts';
import type { SignedStatement } from './signed-bundle.ts';

/** As verified; `signed` is what others can verify again. */
export interface ClusterRevocation {
  readonly cluster: ClusterName;
  /** False: restored. */
  readonly revoked: boolean;
  readonly issuedAtMs: number;
  readonly reason: string;
  readonly signed: SignedStatement;
}

/** Where the registry keeps the statement. */
export function revocationKey(cluster: ClusterName): IntentKey {
  return `cluster-revocation/${cluster}` as IntentKey;
}
