/** What an operator may ask about members: tokens that admit one, and the end of a membership. */

import { MeshError } from '../../mesh/errors.ts';
import { parseClusterName } from '../../mesh/names.ts';
import type { Logger } from '../../runtime/log.ts';
import { type RpcService, rpcService } from '../../runtime/rpc-server.ts';
import {
  type JoinTokenState,
  MembershipOperatorDefinition,
} from '../../wire/generated/isthmus/operator/v1/membership.ts';
import { text } from '../../wire/registry-fields.ts';
import { formatKey } from '../keys.ts';
import { JOIN_TOKEN_TTL_MS_MAX } from '../limits.ts';
import type { IntentTable } from '../operators/intents.ts';
import { type JoinTokens, type TokenRow, tokenId } from './join-tokens.ts';
import { endMembership } from './membership.ts';

export interface MembershipOperatorOptions {
  readonly table: IntentTable;
  readonly tokens: JoinTokens;
  /** Why no cluster can join through this process, if so. */
  readonly joinProblem: string | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export function membershipOperatorService(options: MembershipOperatorOptions): RpcService {
  const { table, tokens, joinProblem, log, now } = options;
  return rpcService(MembershipOperatorDefinition, {
    createJoinToken: async request => {
      const cluster = parseClusterName(request.cluster);
      const ttlMs = Number(request.ttlMs);
      const by = text('by', request.by);
      if (joinProblem !== undefined) throw new MeshError('REQUEST_INVALID', joinProblem);
      if (!(ttlMs > 0 && ttlMs <= JOIN_TOKEN_TTL_MS_MAX)) {
        const days = JOIN_TOKEN_TTL_MS_MAX / 86_400_000;
        throw new MeshError(
          'REQUEST_INVALID',
          `a join token lives more than 0 and at most ${days}d`,
        );
      }
      if (
        !request.rejoin &&
        table.mirror.rows.has(formatKey({ cluster, id: { kind: 'config' } }))
      ) {
        throw new MeshError(
          'REQUEST_INVALID',
          `cluster "${cluster}" is a member already; end that with "isthmus leave ${cluster}", or use --rejoin when its state directory was lost`,
        );
      }
      const { token, row } = await tokens.create(cluster, ttlMs, by);
      const id = tokenId(row);
      log.info({ cluster, token: id, by, expiresMs: row.expiresMs }, 'join token made');
      return { token, id, expiresMs: BigInt(row.expiresMs) };
    },
    listJoinTokens: async () => ({ tokens: (await tokens.list()).map(describe) }),
    revokeJoinToken: async ({ id, by }) => {
      const row = await tokens.revoke(id, text('by', by));
      log.info({ cluster: row.cluster, token: tokenId(row) }, 'join token revoked');
      return { token: describe(row) };
    },
    endMembership: async request => {
      const cluster = parseClusterName(request.cluster);
      const by = text('by', request.by);
      const reason = text('reason', request.reason);
      const departure = { kind: 'departure', cluster, by, reason, atMs: now() } as const;
      const records = await endMembership(table, departure);
      log.info({ cluster, by, reason, records }, 'cluster left');
      return { records };
    },
  });
}

function describe(row: TokenRow): JoinTokenState {
  const { state } = row;
  return {
    id: tokenId(row),
    cluster: row.cluster,
    by: row.by,
    createdMs: BigInt(row.createdMs),
    expiresMs: BigInt(row.expiresMs),
    state: state.kind,
    sinceMs: state.kind === 'unused' ? 0n : BigInt(state.atMs),
    remoteAddress: state.kind === 'redeemed' ? state.remoteAddress : '',
  };
}
