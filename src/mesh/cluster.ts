/**
 * A member of the ClusterSet as the others know it: who it is, what it exports, whom it trusts, and
 * how fresh that knowledge is. Silence makes a record stale, with an age; it never makes it empty.
 */

import type { SocketAddress } from './address.ts';
import type { Locality } from './locality.ts';
import type { ClusterName } from './names.ts';
import type { ExportedService } from './service.ts';
import type { BundleOffer } from './signed-bundle.ts';
import type { TrustDomain } from './spiffe-id.ts';
import type { TrustBundle } from './trust-bundle.ts';

export interface ClusterConfig {
  readonly name: ClusterName;
  /** Made anew by each agent process: two live agents of one cluster have two. */
  readonly instance: string;
  /** When that process started, by its own clock. */
  readonly startedMs: number;
  readonly trustDomain: TrustDomain;
  readonly locality: Locality;
  /** Clusters of one network reach each other's sidecars directly; others go through a gateway. */
  readonly network: string;
  readonly gateways: readonly SocketAddress[];
  /** Version of the software that published the record. */
  readonly version: string;
  /** What its software can do that not every version can; unknown ones mean nothing to a reader. */
  readonly capabilities: readonly string[];
}

export type Freshness =
  | { readonly kind: 'live' }
  | { readonly kind: 'stale'; readonly sinceMs: number; readonly reason: StaleReason };

export type StaleReason =
  /** The cluster's own lease ran out: its agent is silent. */
  | 'lease-expired'
  /** This observer lost the registry. */
  | 'registry-unreachable'
  /** Loaded from this observer's disk, not confirmed since. */
  | 'loaded-from-disk';

/** What the registry says of a cluster, before anything of it is believed (membership.ts). */
export interface ClusterClaim extends Omit<ClusterRecord, 'bundle'> {
  readonly bundle: ClaimedBundle;
}

export type ClaimedBundle =
  | { readonly kind: 'offered'; readonly offer: BundleOffer }
  | { readonly kind: 'unreadable' | 'missing'; readonly problem: string };

export interface ClusterRecord {
  readonly config: ClusterConfig;
  readonly bundle: TrustBundle;
  readonly exports: readonly ExportedService[];
  readonly freshness: Freshness;
}
