/**
 * The Registry's RPCs. Who calls is read from the certificate that peer-listener.ts has verified; what
 * may be written, admission.ts decides; reads come from the mirror and need no store.
 */

import type { BundleProofs } from '../mesh/bundle-succession.ts';
import { isMeshError, MeshError } from '../mesh/errors.ts';
import type { ClusterName } from '../mesh/names.ts';
import { memberId, type TrustDomain } from '../mesh/spiffe-id.ts';
import { RateLimit } from '../runtime/rate-limit.ts';
import type { MessageCodec } from '../runtime/rpc.ts';
import { type RpcService, rpcService } from '../runtime/rpc-server.ts';
import {
  type PublishRequest,
  RegistryDefinition,
} from '../wire/generated/isthmus/registry/v1/registry.ts';
import { type Admitted, admit, leaseNotFound } from './admission/admission.ts';
import type { Refusals } from './admission/refusals.ts';
import type { Importers } from './importers.ts';
import { formatKey } from './keys.ts';
import {
  LEASE_TTL_MS_MAX,
  LEASE_TTL_MS_MIN,
  PUBLISH_VISIBLE_MS_MAX,
  PUBLISHES_BURST_MAX,
  PUBLISHES_PER_SECOND_MAX,
  WATCH_HEARTBEAT_MS,
} from './limits.ts';
import { memberOf, requireCurrent, stillMember } from './membership/membership.ts';
import type { RegistryMetrics } from './metrics.ts';
import { noticesFor } from './notices.ts';
import type { AuditJournal } from './operators/audit.ts';
import type { RegistryStore } from './store/store.ts';
import { subscribe } from './table/fan-out.ts';
import type { TableMirror } from './table/table-mirror.ts';
import { WatchMessages } from './table/watch-messages.ts';

export interface RegistryServiceOptions {
  readonly store: RegistryStore;
  readonly mirror: TableMirror;
  readonly journal: AuditJournal;
  readonly refusals: Refusals;
  readonly importers: Importers;
  readonly clusterSet: TrustDomain;
  readonly proofs: BundleProofs;
  readonly metrics: RegistryMetrics;
  readonly now: () => number;
}

/** Most messages of a watch are the same for everyone: they come encoded. */
const ENCODED: MessageCodec<Uint8Array> = {
  encode: bytes => ({ finish: () => bytes }),
  decode: bytes => bytes,
};
const { methods } = RegistryDefinition;
const DEFINITION = {
  ...RegistryDefinition,
  methods: { ...methods, watch: { ...methods.watch, responseType: ENCODED } },
} as const;

export function registryService(options: RegistryServiceOptions): RpcService {
  const { store, mirror, journal, refusals, importers, clusterSet, metrics, now } = options;
  /** The newest lease of each cluster, which its `alive` record may not carry yet. */
  const granted = new Map<ClusterName, string>();
  const rates = new Map<ClusterName, RateLimit>();
  const messages = new WatchMessages();

  /** Granted by this process, or carried by the record that the caller published through any. */
  const ownsLease = (caller: ClusterName, leaseId: string): boolean => {
    const key = formatKey({ cluster: caller, id: { kind: 'alive' } });
    return granted.get(caller) === leaseId || mirror.rows.get(key)?.entry.leaseId === leaseId;
  };

  const publish = async (request: PublishRequest, caller: ClusterName): Promise<bigint> => {
    takeTurn(rates, caller, now);
    if (mirror.outage !== undefined) {
      throw new MeshError('STORE_UNAVAILABLE', `the registry lost its store: ${mirror.outage}`);
    }
    if (request.asOfStoreId === mirror.storeId) {
      await mirror.reached(request.asOfRevision, AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
    }
    const decide = (): Admitted =>
      admit(request, {
        caller,
        clusterSet,
        table: mirror.table,
        ownsLease: leaseId => ownsLease(caller, leaseId),
        proofs: options.proofs,
      });
    const admitted = decide();
    requireUnchanged(request, admitted, mirror);
    const who = memberId(clusterSet, caller);
    let revision: bigint;
    try {
      const expect = [...(admitted.commit.expect ?? []), stillMember(caller, mirror)];
      const commit = journal.into({ ...admitted.commit, expect }, who, admitted.changes);
      revision = await store.commit(commit);
    } catch (error) {
      if (isMeshError(error, 'REVISION_CONFLICT')) {
        // What came in between may be why this is not allowed any more; then that is the answer.
        await mirror.changed(AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
        decide();
      }
      throw error;
    }
    journal.written(who, admitted.changes);
    // The caller's next publish is judged by a table that holds this one.
    await mirror.reached(revision, AbortSignal.timeout(PUBLISH_VISIBLE_MS_MAX));
    return revision;
  };

  return rpcService(DEFINITION, {
    async grantLease({ ttlMs }, context) {
      const { cluster: caller } = memberOf(context, clusterSet, mirror);
      const lease = await store.grantLease(
        Math.min(Math.max(ttlMs, LEASE_TTL_MS_MIN), LEASE_TTL_MS_MAX),
      );
      granted.set(caller, lease.leaseId);
      return lease;
    },

    async keepAlive({ leaseId, appliedStoreId, appliedRevision }, context) {
      const { cluster: caller } = memberOf(context, clusterSet, mirror);
      importers.report(caller, { storeId: appliedStoreId, revision: appliedRevision });
      if (!ownsLease(caller, leaseId)) throw leaseNotFound(leaseId);
      const { ttlMs } = await store.keepAlive(leaseId);
      return { ttlMs, notices: noticesFor(mirror.table, caller, now()) };
    },

    async publish(request, context) {
      const { cluster: caller } = memberOf(context, clusterSet, mirror);
      try {
        const revision = await publish(request, caller);
        metrics.publishes.inc({ result: 'ok' });
        return { revision };
      } catch (error) {
        metrics.publishes.inc({ result: isMeshError(error) ? error.code : 'unexpected' });
        if (isMeshError(error)) {
          refusals.note(error, caller, request.instance, context.remoteAddress);
        }
        throw error;
      }
    },

    async *watch({ storeId, resumeRevision, heartbeats }, context) {
      const member = memberOf(context, clusterSet, mirror);
      const reader = member.cluster;
      const from = resumeRevision === 0n ? undefined : { storeId, revision: resumeRevision };
      const onResync = (): void => metrics.resyncs.inc();
      metrics.subscribers.inc();
      try {
        const heartbeatMs = heartbeats ? WATCH_HEARTBEAT_MS : undefined;
        const subscription = { mirror, messages, reader, from, heartbeatMs, onResync };
        for await (const update of subscribe(subscription, context.signal)) {
          yield update;
          // Told that it has left, a cluster is told nothing more.
          requireCurrent(member, mirror);
        }
      } finally {
        metrics.subscribers.dec();
      }
    },
  });
}

function takeTurn(
  rates: Map<ClusterName, RateLimit>,
  caller: ClusterName,
  now: () => number,
): void {
  const rate =
    rates.get(caller) ?? new RateLimit(PUBLISHES_PER_SECOND_MAX, PUBLISHES_BURST_MAX, now);
  rates.set(caller, rate);
  if (rate.take()) return;
  throw new MeshError(
    'LIMIT_EXCEEDED',
    `cluster "${caller}" publishes more than ${PUBLISHES_PER_SECOND_MAX} times a second; put more records into one publish, or wait`,
  );
}

/** What the caller decided on must still be so: its call may have been long on its way. */
function requireUnchanged(
  { asOfStoreId, asOfRevision }: PublishRequest,
  { commit }: Admitted,
  mirror: TableMirror,
): void {
  if (asOfRevision === 0n) return;
  const since = mirror.after(asOfStoreId, asOfRevision);
  const keys = new Set(commit.expect?.map(({ key }) => key));
  const changed = since
    ?.flatMap(({ changes }) =>
      changes.map(({ before, after }) => (after ?? before)?.entry.key ?? ''),
    )
    .find(key => keys.has(key));
  if (since !== undefined && changed === undefined) return;
  throw new MeshError(
    'REVISION_CONFLICT',
    since === undefined
      ? `what happened after revision ${asOfRevision} of store "${asOfStoreId}" is not known here; read the table again and decide anew`
      : `"${changed ?? ''}" has changed since revision ${asOfRevision}; look at it again and decide anew`,
  );
}
