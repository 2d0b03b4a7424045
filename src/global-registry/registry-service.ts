/**
 * The Registry's RPCs. Who calls is read from the certificate that peer-listener.ts has verified; what
 * may be written, admission.ts decides; reads come from the mirror and need no store.
 */

import type { BundleProofs } from '../mesh/bundle-succession.ts';
import { isMeshError, MeshError } from '../mesh/errors.ts';
import type { ClusterName } from '../mesh/names.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import type { CallContext, RpcHandlers } from '../runtime/rpc-server.ts';
import type {
  PublishRequest,
  RegistryDefinition,
} from '../wire/generated/isthmus/registry/v1/registry.ts';
import { admit, leaseNotFound } from './admission.ts';
import { subscribe } from './fan-out.ts';
import { formatKey } from './keys.ts';
import { LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, PUBLISH_VISIBLE_MS_MAX } from './limits.ts';
import { memberOf, requireCurrent, stillMember } from './membership.ts';
import type { RegistryMetrics } from './metrics.ts';
import type { RegistryStore } from './store.ts';
import type { TableMirror } from './table-mirror.ts';

export interface RegistryServiceOptions {
  readonly store: RegistryStore;
  readonly mirror: TableMirror;
  readonly clusterSet: TrustDomain;
  readonly proofs: BundleProofs;
  readonly metrics: RegistryMetrics;
}

export function registryHandlers(
  options: RegistryServiceOptions,
): RpcHandlers<typeof RegistryDefinition> {
  const { store, mirror, clusterSet, proofs, metrics } = options;
  /** The newest lease of each cluster, which its `alive` record may not carry yet. */
  const granted = new Map<ClusterName, string>();
  let configTurn: Promise<unknown> = Promise.resolve();

  /** Granted by this process, or carried by the record that the caller published through any. */
  const ownsLease = (caller: ClusterName, leaseId: string): boolean => {
    const key = formatKey({ cluster: caller, id: { kind: 'alive' } });
    return granted.get(caller) === leaseId || mirror.rows.get(key)?.entry.leaseId === leaseId;
  };

  const publish = async (request: PublishRequest, context: CallContext): Promise<bigint> => {
    const { cluster: caller } = memberOf(context, clusterSet, mirror);
    if (mirror.outage !== undefined) {
      throw new MeshError('STORE_UNAVAILABLE', `the registry lost its store: ${mirror.outage}`);
    }
    const commit = admit(request, {
      caller,
      clusterSet,
      rows: mirror.rows,
      ownsLease: leaseId => ownsLease(caller, leaseId),
      proofs,
    });
    const revision = await store.commit({ ...commit, expect: [stillMember(caller, mirror)] });
    // The caller's next publish is judged by a table that holds this one.
    await mirror.reached(revision, AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
    return revision;
  };

  /** Publishes that claim a trust domain take turns, or two clusters could claim one at once. */
  const publishInTurn = (request: PublishRequest, context: CallContext): Promise<bigint> => {
    if (!request.puts.some(({ kind }) => kind?.$case === 'config'))
      return publish(request, context);
    const turn = configTurn.then(() => {
      if (!context.signal.aborted) return publish(request, context);
      throw new MeshError('DEADLINE_EXCEEDED', 'the caller has gone');
    });
    configTurn = turn.catch(() => undefined);
    return turn;
  };

  return {
    async grantLease({ ttlMs }, context) {
      const { cluster: caller } = memberOf(context, clusterSet, mirror);
      const lease = await store.grantLease(
        Math.min(Math.max(ttlMs, LEASE_TTL_MS_MIN), LEASE_TTL_MS_MAX),
      );
      granted.set(caller, lease.leaseId);
      return lease;
    },

    async keepAlive({ leaseId }, context) {
      const { cluster: caller } = memberOf(context, clusterSet, mirror);
      if (!ownsLease(caller, leaseId)) throw leaseNotFound(leaseId);
      return store.keepAlive(leaseId);
    },

    async publish(request, context) {
      try {
        const revision = await publishInTurn(request, context);
        metrics.publishes.inc({ result: 'ok' });
        return { revision };
      } catch (error) {
        metrics.publishes.inc({ result: isMeshError(error) ? error.code : 'unexpected' });
        throw error;
      }
    },

    async *watch({ storeId, resumeRevision }, context) {
      const member = memberOf(context, clusterSet, mirror);
      const from = resumeRevision === 0n ? undefined : { storeId, revision: resumeRevision };
      metrics.subscribers.inc();
      try {
        for await (const update of subscribe(mirror, from, context.signal, () =>
          metrics.resyncs.inc(),
        )) {
          yield update;
          // Told that it has left, a cluster is told nothing more.
          requireCurrent(member, mirror);
        }
      } finally {
        metrics.subscribers.dec();
      }
    },
  };
}
