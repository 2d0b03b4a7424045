/**
 * This cluster's place in the ClusterSet: the certificate it shows to the registry, kept fresh.
 *
 * Renewed at half its life through whichever registry process issues memberships. Where none does it was
 * made by `isthmus init`, which renews it; until then it serves, and the attempts are an hour apart.
 */

import { join } from 'node:path';
import { renewMembership } from '../../global-registry/client.ts';
import type { Collection } from '../../mesh/collection.ts';
import { MeshError } from '../../mesh/errors.ts';
import { endsMembership, type Intent, type IntentKey, intentKey } from '../../mesh/intent.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { memberId, registryId } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import type { RpcTls } from '../../runtime/rpc-client.ts';
import { loadMemberCredentials } from '../../trust-federation/authority/clusterset-authority.ts';
import { IdentityKeeper } from '../../trust-federation/identity/identity-keeper.ts';
import { saveSvid } from '../../trust-federation/identity/svid.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../trust-federation/peers/tls.ts';
import type { AgentConfig } from '../config.ts';
import { MEMBERSHIP_RETRY_MS_MAX } from '../limits.ts';

export interface MembershipOptions {
  readonly config: Pick<AgentConfig, 'cluster' | 'clusterSet' | 'registry'>;
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface Membership {
  readonly identity: IdentityKeeper;
  /** The ClusterSet's. */
  readonly roots: TrustBundle;
  /** For the registry's port. */
  readonly tls: () => RpcTls;
}

/** Whether an operator has ended this membership; a later one, for a new token, begins after that. */
export function hasLeft(
  cluster: ClusterName,
  intents: Collection<IntentKey, Intent>,
  { identity }: Membership,
): boolean {
  const intent = intents.get(intentKey({ kind: 'departure', cluster }));
  return intent?.kind === 'departure' && endsMembership(intent, identity.current().notBeforeMs);
}

/** Throws FILE_ codes, and CERTIFICATE_INVALID for another cluster's membership. */
export async function openMembership(options: MembershipOptions): Promise<Membership> {
  const { config, stateDir, log, now } = options;
  const { cluster, clusterSet, registry } = config;
  const dir = join(stateDir, 'membership');
  const { svid, roots } = await loadMemberCredentials(dir);
  const expected = memberId(clusterSet, cluster);
  if (svid.id !== expected) {
    throw new MeshError(
      'CERTIFICATE_INVALID',
      `"${dir}" is the membership of "${svid.id}", not of "${expected}"; copy this cluster's own`,
    );
  }
  const tls = (): RpcTls =>
    meshRpcTls(identity.current(), roots, exactly(registryId(clusterSet)), now);
  const identity: IdentityKeeper = new IdentityKeeper({
    name: 'membership',
    initial: svid,
    obtain: (csr, signal) => renewMembership(registry, tls, csr, signal),
    save: renewed => saveSvid(dir, renewed),
    retryMaxMs: MEMBERSHIP_RETRY_MS_MAX,
    log,
    now,
  });
  return { identity, roots, tls };
}
