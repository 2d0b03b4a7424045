/**
 * Join tokens as text: `isthmus1.` and base64url of the message, one word to copy from one terminal into
 * another. It is a secret until it is used: whoever shows it first becomes the cluster it names.
 */

import { formatAddress, parseAddress, type SocketAddress } from '../mesh/address.ts';
import { isMeshError, MeshError } from '../mesh/errors.ts';
import { type ClusterName, parseClusterName } from '../mesh/names.ts';
import { parseTrustDomain, type TrustDomain } from '../mesh/spiffe-id.ts';
import { JoinToken as Message } from './generated/isthmus/registry/v1/join.ts';

export interface JoinToken {
  readonly clusterSet: TrustDomain;
  readonly cluster: ClusterName;
  /** Join ports of the registry, in the order to try them. */
  readonly addresses: readonly SocketAddress[];
  /** Of the ClusterSet's root certificate, DER. */
  readonly rootSha256: Uint8Array;
  readonly secret: Uint8Array;
}

export const JOIN_SECRET_BYTES = 32;
const SHA256_BYTES = 32;
const JOIN_TOKEN_CHARS_MAX = 4_096;
const PREFIX = 'isthmus1.';

export function formatJoinToken(token: JoinToken): string {
  const { clusterSet, cluster, addresses, rootSha256, secret } = token;
  const message = Message.encode({
    clusterSet,
    cluster,
    addresses: addresses.map(formatAddress),
    rootSha256: Buffer.from(rootSha256),
    secret: Buffer.from(secret),
  });
  return PREFIX + Buffer.from(message.finish()).toString('base64url');
}

/** Throws TOKEN_UNKNOWN for anything `formatJoinToken` does not write. */
export function parseJoinToken(text: string): JoinToken {
  const body = text.slice(PREFIX.length);
  if (
    !text.startsWith(PREFIX) ||
    text.length > JOIN_TOKEN_CHARS_MAX ||
    !/^[A-Za-z0-9_-]+$/.test(body)
  ) {
    throw unreadable('it does not look like one');
  }
  const token = read(Buffer.from(body, 'base64url'));
  // What is read is written again and compared: two texts are never one token.
  if (formatJoinToken(token) === text) return token;
  throw unreadable('it is not whole');
}

function read(bytes: Buffer): JoinToken {
  try {
    const message = Message.decode(bytes);
    const { clusterSet, cluster, addresses, rootSha256, secret } = message;
    if (rootSha256.length !== SHA256_BYTES || secret.length !== JOIN_SECRET_BYTES) {
      throw unreadable('it is not whole');
    }
    if (addresses.length === 0) throw unreadable('it names no registry');
    return {
      clusterSet: parseTrustDomain(clusterSet),
      cluster: parseClusterName(cluster),
      addresses: addresses.map(parseAddress),
      rootSha256,
      secret,
    };
  } catch (cause) {
    if (isMeshError(cause, 'TOKEN_UNKNOWN')) throw cause;
    throw unreadable('it is not whole', cause);
  }
}

function unreadable(why: string, cause?: unknown): MeshError {
  return new MeshError(
    'TOKEN_UNKNOWN',
    `this is not a join token: ${why}; copy the whole word that "isthmus token create" printed`,
    { cause },
  );
}
