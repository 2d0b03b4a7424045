/**
 * Who may come in, once it is proven who they are. An authorizer answers why not, or undefined.
 *
 * Identity comes first, always: verify.ts calls these only for an ID whose chain leads to a root of its
 * own trust domain.
 */

import {
  memberClusterOf,
  memberId,
  type SpiffeId,
  type TrustDomain,
  trustDomainOf,
} from '../../mesh/spiffe-id.ts';

export type Authorizer = (id: SpiffeId) => string | undefined;

/** Any proven identity: for listeners that decide per request. */
export const anyIdentity: Authorizer = () => undefined;

/** The caller knows whom it wants to talk to: an endpoint's sidecar, the agent, the registry. */
export function exactly(expected: SpiffeId): Authorizer {
  return id => (id === expected ? undefined : `peer is "${id}", expected "${expected}"`);
}

/** An agent serves the proxies of its own cluster. */
export function inTrustDomain(trustDomain: TrustDomain): Authorizer {
  return id =>
    trustDomainOf(id) === trustDomain
      ? undefined
      : `peer "${id}" is not in trust domain "${trustDomain}"`;
}

/** The registry serves the ClusterSet's member clusters. */
export function anyMember(clusterSet: TrustDomain): Authorizer {
  return id => {
    const cluster = memberClusterOf(id);
    return cluster !== undefined && id === memberId(clusterSet, cluster)
      ? undefined
      : `peer "${id}" is not a member cluster of ClusterSet "${clusterSet}"`;
  };
}
