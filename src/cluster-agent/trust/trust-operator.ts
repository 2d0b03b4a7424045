/** What an operator may ask an agent about revocation: `isthmus trust revoke|restore|list`. */

import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { requireSpiffeId, type SpiffeId, trustDomainOf } from '../../mesh/spiffe-id.ts';
import { agentId } from '../../mesh/system-identities.ts';
import type { Logger } from '../../runtime/log.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import type { OwnBundle } from '../../trust-federation/bundles/own-bundle.ts';
import { AgentTrustOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/trust.ts';
import { text } from '../../wire/registry-fields.ts';
import type { Members } from '../registry/members.ts';
import type { RegistrySubscriber } from '../registry/registry-subscriber.ts';

export interface TrustOperatorOptions {
  readonly cluster: ClusterName;
  readonly ownBundle: OwnBundle;
  readonly members: Members;
  readonly subscriber: RegistrySubscriber;
  readonly svidTtlMs: number;
  readonly log: Logger;
}

export function trustOperatorService(options: TrustOperatorOptions): RpcService {
  const { ownBundle, log } = options;
  return rpcService(AgentTrustOperatorDefinition, {
    revokeIdentity: async request => {
      const id = requireRevocable(requireSpiffeId(request.spiffeId));
      const reason = text('reason', request.reason);
      const { sequence } = await ownBundle.revoke(id, reason);
      log.warn({ id, reason, sequence }, 'identity revoked');
      return { sequence: BigInt(sequence) };
    },
    restoreIdentity: async request => {
      const id = requireSpiffeId(request.spiffeId);
      const { sequence } = await ownBundle.restore(id);
      log.warn({ id, sequence }, 'identity restored');
      return { sequence: BigInt(sequence) };
    },
    listTrust: () => Promise.resolve(describe(options)),
  });
}

/** Revoking the agent would leave its proxies without news, that of a restoration included. */
function requireRevocable(id: SpiffeId): SpiffeId {
  if (id !== agentId(trustDomainOf(id))) return id;
  throw new MeshError(
    'REQUEST_INVALID',
    `"${id}" is the agent itself; replace its root with a rollover, or revoke the cluster`,
  );
}

function describe({ cluster, ownBundle, members, subscriber, svidTtlMs }: TrustOperatorOptions) {
  const { trustDomain, sequence } = ownBundle.current();
  const { connected, sinceMs } = subscriber.status();
  return {
    cluster,
    trustDomain,
    sequence: BigInt(sequence),
    revoked: ownBundle.revoked().map(({ id, atMs, reason }) => ({
      spiffeId: id,
      atMs: BigInt(Math.round(atMs)),
      reason,
    })),
    svidTtlMs: BigInt(svidTtlMs),
    held: [...members.bundles.entries().values()].map(bundle => ({
      trustDomain: bundle.trustDomain,
      sequence: BigInt(bundle.sequence),
    })),
    clusters: members.revocations().map(({ issuedAtMs, ...rest }) => ({
      cluster: rest.cluster,
      revoked: rest.revoked,
      reason: rest.reason,
      issuedAtMs: BigInt(issuedAtMs),
    })),
    registryConnected: connected,
    registrySinceMs: BigInt(Math.round(sinceMs)),
  };
}
