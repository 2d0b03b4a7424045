/**
 * A proxy's first identity: the one on disk, or a new one for its join token.
 *
 * The agent is verified by its exact SPIFFE ID against the root that the operator put beside the token,
 * so a token is never shown to a stranger. The key is on disk before it is asked for, so that an answer
 * that was lost can be had again. Once redeemed, the token's file is removed.
 */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SocketAddress } from '../../mesh/address.ts';
import { type ErrorCode, isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import { agentId } from '../../mesh/system-identities.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { RpcChannel } from '../../runtime/rpc-client.ts';
import { readPrivateFile } from '../../runtime/state-file.ts';
import { Backoff, sleep } from '../../runtime/supervise.ts';
import { forgetPendingKey, pendingKey } from '../../trust-federation/identity/pending-key.ts';
import { loadSvid, parseSvid, type Svid, saveSvid } from '../../trust-federation/identity/svid.ts';
import { exactly } from '../../trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../trust-federation/peers/tls.ts';
import { createCsr } from '../../trust-federation/x509/csr.ts';
import {
  type IssueJwtSvidResponse,
  JoinDefinition,
  type RedeemRequest,
  WorkloadIdentityDefinition,
} from '../../wire/generated/isthmus/identity/v1/identity.ts';
import { RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../limits.ts';

export interface IdentityOptions {
  readonly trustDomain: TrustDomain;
  readonly id: SpiffeId;
  readonly join: SocketAddress;
  /** Where Kubernetes keeps this proxy's service account token, if it does. */
  readonly kubernetesToken: string | undefined;
  readonly stateDir: string;
  readonly trustRoot: TrustBundle;
  readonly log: Logger;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Beside `trust-root.pem`; removed once redeemed. */
export const JOIN_TOKEN_FILE = 'join-token';

/** Failures that another try may not meet. */
const RETRIED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PEER_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'LIMIT_EXCEEDED',
]);

export function identityDir(stateDir: string): string {
  return join(stateDir, 'identity');
}

/** Throws TOKEN_UNKNOWN, TOKEN_USED, TOKEN_EXPIRED, CSR_REFUSED and the FILE_ codes. */
export async function obtainIdentity(options: IdentityOptions): Promise<Svid> {
  const { id, stateDir, log, now } = options;
  const saved = await loadSvid(identityDir(stateDir));
  if (saved?.id === id && saved.notAfterMs > now()) return saved;
  const path = join(stateDir, JOIN_TOKEN_FILE);
  const joinToken = (await readPrivateFile(path))?.toString('utf8').trim();
  if (joinToken === undefined && options.kubernetesToken === undefined) {
    const found =
      saved === undefined ? 'no identity' : 'an identity that is expired or not its own';
    throw new MeshError(
      'TOKEN_UNKNOWN',
      `"${id}" has ${found} and no join token; put one there with "isthmus enrol ${id} --state-dir ${stateDir}"`,
    );
  }
  const key = await pendingKey(identityDir(stateDir));
  const chain = await redeem(joinToken, createCsr(key, id), options);
  const svid = parseSvid(chain, key);
  if (svid.id !== id) {
    throw new MeshError('CERTIFICATE_INVALID', `asked for "${id}", was given "${svid.id}"`);
  }
  await saveSvid(identityDir(stateDir), svid);
  await forgetPendingKey(identityDir(stateDir));
  await rm(path, { force: true });
  log.info({ id }, 'joined the cluster');
  return svid;
}

/** One renewal over the control port, on a connection of its own with the certificate in hand. */
export async function renewIdentity(
  control: SocketAddress,
  current: Svid,
  roots: TrustBundle,
  csr: Buffer,
  now: () => number,
  signal: AbortSignal,
): Promise<{ readonly chain: readonly Uint8Array[] }> {
  const tls = meshRpcTls(current, roots, exactly(agentId(current.trustDomain)), now);
  const channel = new RpcChannel(WorkloadIdentityDefinition, { address: control, tls });
  try {
    return await channel.unary(WorkloadIdentityDefinition.methods.renew, { csr }, { signal });
  } finally {
    channel.close();
  }
}

/** A JWT-SVID of our own identity, on a connection like that. */
export async function fetchJwtSvid(
  control: SocketAddress,
  current: Svid,
  roots: TrustBundle,
  audience: readonly string[],
  now: () => number,
): Promise<IssueJwtSvidResponse> {
  const tls = meshRpcTls(current, roots, exactly(agentId(current.trustDomain)), now);
  const channel = new RpcChannel(WorkloadIdentityDefinition, { address: control, tls });
  try {
    const { issueJwtSvid } = WorkloadIdentityDefinition.methods;
    return await channel.unary(issueJwtSvid, { audience: [...audience] });
  } finally {
    channel.close();
  }
}

async function redeem(
  joinToken: string | undefined,
  csr: Buffer,
  options: IdentityOptions,
): Promise<readonly Uint8Array[]> {
  const { trustDomain, trustRoot, log, now, signal } = options;
  const backoff = new Backoff(RECONNECT_FIRST_MS, RECONNECT_MAX_MS);
  for (;;) {
    const tls = meshRpcTls(undefined, trustRoot, exactly(agentId(trustDomain)), now);
    const channel = new RpcChannel(JoinDefinition, { address: options.join, tls });
    try {
      const request = { credential: await credentialOf(joinToken, options), csr };
      return (await channel.unary(JoinDefinition.methods.redeem, request, { signal })).chain;
    } catch (error) {
      if (!isMeshError(error) || !RETRIED.has(error.code) || signal.aborted) throw error;
      log.warn({ error }, 'agent not reached, trying again');
      await sleep(backoff.next(), signal);
    } finally {
      channel.close();
    }
  }
}

/** Kubernetes replaces the token's file, so it is read for each try. Throws FILE_UNREADABLE. */
async function credentialOf(
  joinToken: string | undefined,
  { kubernetesToken = '' }: IdentityOptions,
): Promise<NonNullable<RedeemRequest['credential']>> {
  if (joinToken !== undefined) return { $case: 'joinToken', value: joinToken };
  try {
    const value = (await readFile(kubernetesToken, 'utf8')).trim();
    return { $case: 'kubernetesToken', value };
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `"${kubernetesToken}": ${messageOf(cause)}`, { cause });
  }
}
