/**
 * A version of a trust bundle together with the signatures under it, as plain data.
 *
 * What they prove is decided by `bundle-succession.ts`; whether they are good, by whoever can do
 * cryptography, who looks at `statement` and nothing else.
 */

import type { ClusterName } from './names.ts';
import type { TrustDomain } from './spiffe-id.ts';
import type { TrustBundle } from './trust-bundle.ts';

export interface SignedStatement {
  /** Exactly the bytes that were signed. */
  readonly statement: Uint8Array;
  readonly signatures: readonly StatementSignature[];
}

export interface StatementSignature {
  /** DER; the first certificate's key signed, the others lead towards a root. */
  readonly chain: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** Everything but the signatures is read from the statement. */
export interface SignedBundle extends SignedStatement {
  readonly clusterSet: TrustDomain;
  readonly cluster: ClusterName;
  readonly bundle: TrustBundle;
}

/** What a cluster publishes: its bundle, and how to get there from older ones. */
export interface BundleOffer {
  readonly current: SignedBundle;
  /** One for each earlier change of roots, in any order. */
  readonly predecessors: readonly SignedBundle[];
}
