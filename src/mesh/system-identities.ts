/** The SPIFFE IDs of a cluster's own parts, fixed so that every peer knows whom to expect. */

import { parseNamespace, parseServiceAccount, type ServiceAccount } from './names.ts';
import { type SpiffeId, type TrustDomain, workloadId } from './spiffe-id.ts';

const SYSTEM_NAMESPACE = parseNamespace('isthmus-system');
const AGENT: ServiceAccount = parseServiceAccount('cluster-agent');
const GATEWAY: ServiceAccount = parseServiceAccount('east-west-gateway');

export function agentId(trustDomain: TrustDomain): SpiffeId {
  return workloadId(trustDomain, SYSTEM_NAMESPACE, AGENT);
}

export function gatewayId(trustDomain: TrustDomain): SpiffeId {
  return workloadId(trustDomain, SYSTEM_NAMESPACE, GATEWAY);
}
