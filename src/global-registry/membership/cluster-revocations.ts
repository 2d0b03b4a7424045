/**
 * Clusters that the ClusterSet's authority has revoked, as this registry process enforces them.
 *
 * A statement is signed by the ClusterSet's issuer, kept in the table like every intent, and verified again
 * here as by every importer: who can write to the store can neither revoke nor restore anyone. The
 * ClusterSet's bundle that the listener judges members by carries the revoked ones, so their connections
 * end and new ones are refused.
 */

import type { ClusterRevocation } from '../../mesh/cluster-revocation.ts';
import { Table } from '../../mesh/collection.ts';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../../mesh/names.ts';
import { memberId, type TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import {
  formatRevocation,
  readRevocation,
  signRevocation,
} from '../../trust-federation/bundles/revocation-statement.ts';
import type { StatementSigner } from '../../trust-federation/bundles/statement-signature.ts';
import { RegistryTrustOperatorDefinition } from '../../wire/generated/isthmus/operator/v1/trust.ts';
import { text } from '../../wire/registry-fields.ts';
import { type IntentTable, listIntents, putIntent } from '../operators/intents.ts';

export interface ClusterRevocationsOptions {
  readonly table: IntentTable;
  /** The ClusterSet's, asked each time: they are renewed. */
  readonly roots: () => TrustBundle;
  /** Undefined where this process has no issuer. */
  readonly signer: StatementSigner | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export class ClusterRevocations {
  readonly name = 'cluster-revocations';
  /** One row: the ClusterSet's roots, with the members that are revoked. */
  readonly bundles = new Table<TrustDomain, TrustBundle>('clusterset-bundle');
  readonly #options: ClusterRevocationsOptions;

  constructor(options: ClusterRevocationsOptions) {
    this.#options = options;
    const roots = options.roots();
    this.bundles.put(roots.trustDomain, roots);
  }

  /** Follows the table, whichever registry process wrote to it. */
  async run(signal: AbortSignal): Promise<void> {
    const { mirror } = this.#options.table;
    while (!signal.aborted && !mirror.stopped) {
      this.refresh();
      await mirror.changed(signal);
    }
  }

  /** The table or the roots have changed. */
  refresh(): void {
    const roots = this.#options.roots();
    const revoked = this.#statements()
      .filter(each => each.revoked)
      .map(each => memberId(roots.trustDomain, each.cluster))
      .sort();
    this.bundles.put(roots.trustDomain, { ...roots, revoked });
  }

  service(): RpcService {
    return rpcService(RegistryTrustOperatorDefinition, {
      judgeCluster: async request => {
        const cluster = parseClusterName(request.cluster);
        const reason = text('reason', request.reason);
        const by = text('by', request.by);
        const issuedAtMs = await this.#judge(cluster, request.revoked, reason, by);
        return { issuedAtMs: BigInt(issuedAtMs) };
      },
    });
  }

  async #judge(
    cluster: ClusterName,
    revoked: boolean,
    reason: string,
    by: string,
  ): Promise<number> {
    const { table, signer, log, now } = this.#options;
    const roots = this.#options.roots();
    if (signer === undefined) {
      throw new MeshError(
        'REQUEST_INVALID',
        'this registry cannot revoke clusters: it has no issuer of the ClusterSet; copy the folder "authority" that "isthmus init" made into its state directory',
      );
    }
    const earlier = this.#statements().find(each => each.cluster === cluster);
    if (!revoked && earlier?.revoked !== true) {
      throw new MeshError('REQUEST_INVALID', `cluster "${cluster}" is not revoked`);
    }
    const atMs = Math.round(now());
    // The newest statement counts, also when a clock has gone back since the last one.
    const issuedAtMs = Math.max(atMs, (earlier?.issuedAtMs ?? 0) + 1);
    const clusterSet = roots.trustDomain;
    const statement = { clusterSet, cluster, revoked, issuedAtMs, reason };
    const signed = signRevocation(statement, signer);
    const bytes = formatRevocation({ ...statement, signed });
    await putIntent(table, {
      kind: 'cluster-revocation',
      cluster,
      statement: bytes,
      reason,
      by,
      atMs,
    });
    log.warn({ cluster, reason, by }, revoked ? 'cluster revoked' : 'cluster restored');
    return issuedAtMs;
  }

  #statements(): ClusterRevocation[] {
    const { table, log, now } = this.#options;
    const roots = this.#options.roots();
    return listIntents(table.mirror).flatMap(({ intent }) => {
      if (intent.kind !== 'cluster-revocation') return [];
      try {
        return [readRevocation(intent.statement, roots, now())];
      } catch (error) {
        if (!isMeshError(error)) throw error;
        log.error({ error, cluster: intent.cluster }, 'revocation not believed');
        return [];
      }
    });
  }
}
