/**
 * How a cluster gets its membership: the first for a token, the next for the one in hand.
 *
 * Before the secret is shown the registry is recognised: the root it presents must have the hash in the
 * token, and the connection that carries the secret is then verified against that root like any other.
 * The key is on disk before it is asked for, so that a lost answer, or a crash, is repeated with the same
 * key and the token counts as used by this cluster alone.
 */

import { createHash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { type ErrorCode, isMeshError, MeshError, messageOf } from '../mesh/errors.ts';
import { memberId, registryId, type SpiffeId } from '../mesh/spiffe-id.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import type { RpcMethod } from '../runtime/rpc.ts';
import { RpcChannel, type RpcTls } from '../runtime/rpc-client.ts';
import { CLUSTERSET_ROOT_FILE } from '../trust-federation/authority/clusterset-authority.ts';
import { bundleOf, saveRoots } from '../trust-federation/authority/root-file.ts';
import { forgetPendingKey, pendingKey } from '../trust-federation/identity/pending-key.ts';
import { loadSvid, parseSvid, type Svid, saveSvid } from '../trust-federation/identity/svid.ts';
import { exactly } from '../trust-federation/peers/authorizer.ts';
import { meshRpcTls, peerChain } from '../trust-federation/peers/tls.ts';
import { createCsr } from '../trust-federation/x509/csr.ts';
import { parseCertificate } from '../trust-federation/x509/parsed-certificate.ts';
import {
  ClusterJoinDefinition,
  ClusterMembershipDefinition,
} from '../wire/generated/isthmus/registry/v1/join.ts';
import { type JoinToken, parseJoinToken } from '../wire/join-token.ts';
import { JOIN_DIAL_MS_MAX } from './limits.ts';

export interface Joining {
  readonly token: string;
  /** Becomes `<stateDir>/membership` of the agent. */
  readonly dir: string;
  /** Although there is a membership that has not expired. */
  readonly replace: boolean;
  readonly now: () => number;
}

/** Another registry process may do better. */
const TRY_NEXT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PEER_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'STORE_UNAVAILABLE',
  'PEER_REFUSED',
]);

/** Throws the TOKEN_ codes, PEER_REFUSED for a stranger in the registry's place, and the FILE_ codes. */
export async function joinClusterSet({ token, dir, replace, now }: Joining): Promise<Svid> {
  const parsed = parseJoinToken(token.trim());
  const id = memberId(parsed.clusterSet, parsed.cluster);
  const existing = await loadSvid(dir);
  if (existing !== undefined && existing.notAfterMs > now() && !replace) {
    throw new MeshError(
      'REQUEST_INVALID',
      `"${dir}" holds the membership of "${existing.id}" already; use --replace to give it up`,
    );
  }
  const key = await pendingKey(dir);
  const redeemed = await firstOf(parsed.addresses, address =>
    redeem(address, parsed, key, id, now),
  );
  const svid = parseSvid(redeemed.chain, key);
  if (svid.id !== id) {
    throw new MeshError('CERTIFICATE_INVALID', `asked for "${id}", was given "${svid.id}"`);
  }
  // The identity is last: with it the membership is there, without it this can be run again.
  await saveRoots(join(dir, CLUSTERSET_ROOT_FILE), redeemed.roots);
  await saveSvid(dir, svid);
  await forgetPendingKey(dir);
  return svid;
}

/** Asks each registry until one issues. Throws the last refusal. */
export async function renewMembership(
  addresses: readonly SocketAddress[],
  tls: () => RpcTls,
  csr: Buffer,
  signal: AbortSignal,
): Promise<{ readonly chain: readonly Uint8Array[] }> {
  return firstOf(addresses, address => {
    const { renew } = ClusterMembershipDefinition.methods;
    return callOnce(ClusterMembershipDefinition, renew, { address, tls: tls() }, { csr }, signal);
  });
}

async function redeem(
  address: SocketAddress,
  { clusterSet, rootSha256, secret }: JoinToken,
  key: KeyObject,
  id: SpiffeId,
  now: () => number,
): Promise<{ readonly chain: readonly Uint8Array[]; readonly roots: TrustBundle }> {
  const roots = bundleOf([parseCertificate(await pinnedRoot(address, rootSha256))]);
  const tls = meshRpcTls(undefined, roots, exactly(registryId(clusterSet)), now);
  const request = { secret: Buffer.from(secret), csr: createCsr(key, id) };
  const { redeem: method } = ClusterJoinDefinition.methods;
  const { chain } = await callOnce(ClusterJoinDefinition, method, { address, tls }, request);
  return { chain, roots };
}

/** The root that the server presents, once its hash is the expected one. Nothing is sent to the server. */
function pinnedRoot(address: SocketAddress, sha256: Uint8Array): Promise<Buffer> {
  const where = `registry at "${formatAddress(address)}"`;
  return new Promise((resolve, reject) => {
    // Not verified by OpenSSL, which knows no root yet: what is learned here is compared with the pin,
    // and the connection that carries the secret is another one.
    const socket = connect({ ...address, ALPNProtocols: ['h2'], rejectUnauthorized: false });
    const fail = (code: ErrorCode, message: string): void => {
      socket.destroy();
      reject(new MeshError(code, message));
    };
    socket.setTimeout(JOIN_DIAL_MS_MAX, () => fail('PEER_UNAVAILABLE', `${where} does not answer`));
    socket.once('error', error => fail('PEER_UNAVAILABLE', `${where}: ${messageOf(error)}`));
    socket.once('secureConnect', () => {
      const root = peerChain(socket).find(der =>
        timingSafeEqual(createHash('sha256').update(der).digest(), sha256),
      );
      if (root === undefined) {
        fail('PEER_REFUSED', `${where} is not of the ClusterSet that made this token`);
        return;
      }
      // Cut off now, our end of the handshake would not get there, and the registry take it for an attack.
      socket.resume().end();
      resolve(root);
    });
  });
}

async function firstOf<T>(
  addresses: readonly SocketAddress[],
  attempt: (address: SocketAddress) => Promise<T>,
): Promise<T> {
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await attempt(address);
    } catch (error) {
      if (!isMeshError(error) || !TRY_NEXT.has(error.code)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function callOnce<Req, Res>(
  definition: { readonly fullName: string },
  method: RpcMethod<Req, Res>,
  target: { readonly address: SocketAddress; readonly tls: RpcTls },
  request: Req,
  signal?: AbortSignal,
): Promise<Res> {
  const channel = new RpcChannel(definition, target);
  try {
    return await channel.unary(method, request, signal === undefined ? {} : { signal });
  } finally {
    channel.close();
  }
}
