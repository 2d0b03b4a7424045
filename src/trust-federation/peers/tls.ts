/**
 * TLS settings of every mesh connection: TLS 1.3, certificates on both sides, no resumption.
 *
 * OpenSSL proves possession of the key; who the peer is, verify.ts decides, and OpenSSL's opinion of the
 * chain has to agree. Listeners and the sidecars' sessions ask `verifyConnection` when the handshake is done
 * and before a byte is read or written, so that a refusal has a name; gRPC clients ask inside the handshake,
 * through `checkServerIdentity`.
 */

import { constants } from 'node:crypto';
import {
  type ConnectionOptions,
  createSecureContext,
  type DetailedPeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { MeshError } from '../../mesh/errors.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { RpcTls } from '../../runtime/rpc-client.ts';
import type { Svid } from '../identity/svid.ts';
import { CHAIN_CERTIFICATES_MAX } from '../limits.ts';
import { certificatesPem, keyPem } from '../x509/pem.ts';
import type { Authorizer } from './authorizer.ts';
import { refused } from './chain-rules.ts';
import { type BundleSource, type PeerVerdict, verifyPeer } from './verify.ts';

/**
 * For listeners of peers with an SVID; ALPN is the caller's. A resumed session would skip the check of
 * the client's chain, so one from before a root was removed would still come in: no tickets, and Node
 * keeps no server-side session unless asked to.
 */
export function meshServerTls(svid: Svid, bundles: Iterable<TrustBundle>): TlsOptions {
  return {
    ...anonymousServerTls(svid),
    ca: rootsPem(bundles),
    requestCert: true,
    rejectUnauthorized: true,
  };
}

/** For the join port, whose callers have no certificate yet. */
export function anonymousServerTls(svid: Svid): TlsOptions {
  return { ...credentialsOf(svid), secureOptions: constants.SSL_OP_NO_TICKET };
}

export interface MeshClientTls extends SecureContextOptions {
  readonly rejectUnauthorized: true;
  readonly checkServerIdentity: NonNullable<ConnectionOptions['checkServerIdentity']>;
}

/**
 * For connections to a peer of one trust domain; ALPN and server name are the caller's. Without an SVID
 * for the join port only. A refused server fails the handshake with PEER_REFUSED, its reason in
 * `details`, before the caller can write a byte.
 */
export function meshClientTls(
  svid: Svid | undefined,
  bundle: TrustBundle,
  authorize: Authorizer,
  now: () => number,
): MeshClientTls {
  const bundles = new Map([[bundle.trustDomain, bundle]]);
  return {
    ...(svid === undefined ? { minVersion: TLS_VERSION_MIN } : credentialsOf(svid)),
    ca: rootsPem([bundle]),
    rejectUnauthorized: true,
    // Replaces Node's comparison with a host name: mesh certificates carry none.
    checkServerIdentity: (_host, certificate) => {
      const chain = chainOf(certificate);
      const verdict = verifyPeer(chain, bundles, authorize, now());
      return verdict.kind === 'accepted'
        ? undefined
        : new MeshError('PEER_REFUSED', verdict.message, { details: { reason: verdict.reason } });
    },
  };
}

/**
 * For connections that are handed to `verifyConnection` before anything else: OpenSSL alone would end
 * them without saying whom it met and why.
 */
export function unverifiedClientTls(svid: Svid, bundle: TrustBundle): ConnectionOptions {
  return {
    ...credentialsOf(svid),
    ca: rootsPem([bundle]),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  };
}

export interface Clocks {
  readonly now: () => number;
  /** The same without steps backwards. */
  readonly steady: () => number;
}

/** Who is at the other end, by two readers of the same chain that both have to agree. */
export function verifyConnection(
  socket: TLSSocket,
  bundles: BundleSource,
  authorize: Authorizer,
  clocks: Clocks,
): PeerVerdict {
  const chain = peerChain(socket);
  let verdict = verifyPeer(chain, bundles, authorize, clocks.now());
  // Not since the clock was set back: what was valid before is valid still.
  if (verdict.kind === 'refused' && verdict.reason === 'not-yet-valid') {
    verdict = verifyPeer(chain, bundles, authorize, clocks.steady());
  }
  const objection = socket.authorized ? undefined : String(socket.authorizationError);
  if (verdict.kind === 'refused' || objection === undefined || OF_TIME.has(objection)) {
    return verdict;
  }
  const message = `OpenSSL refuses the chain: ${objection}`;
  return { ...refused('untrusted', message), id: verdict.id };
}

/** OpenSSL reads the wall clock alone; the door has judged by both. */
const OF_TIME: ReadonlySet<string> = new Set(['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

/** `meshClientTls` for a gRPC channel. */
export function meshRpcTls(...settings: Parameters<typeof meshClientTls>): RpcTls {
  const { checkServerIdentity, ...context } = meshClientTls(...settings);
  return { secureContext: createSecureContext(context), checkServerIdentity };
}

/** What the peer presented, DER, leaf first; empty when it presented nothing or has gone. */
export function peerChain(socket: TLSSocket): Buffer[] {
  // Null once the connection is destroyed, whatever the typings say.
  return chainOf(socket.getPeerCertificate(true));
}

function chainOf(leaf: Partial<DetailedPeerCertificate> | null): Buffer[] {
  const chain: Buffer[] = [];
  let next: Partial<DetailedPeerCertificate> | null | undefined = leaf;
  // One more than is read, so that a chain too long is seen as that. Node links a root to itself.
  while (next?.raw !== undefined && chain.length <= CHAIN_CERTIFICATES_MAX) {
    chain.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

const TLS_VERSION_MIN = 'TLSv1.3';

function credentialsOf(svid: Svid): SecureContextOptions {
  return {
    key: keyPem(svid.key),
    cert: certificatesPem(svid.chain),
    minVersion: TLS_VERSION_MIN,
  };
}

/** Empty text would mean the public CAs of Node; an empty list means nobody. */
function rootsPem(bundles: Iterable<TrustBundle>): string[] {
  return [...bundles].flatMap(bundle =>
    bundle.x509Authorities.map(root => certificatesPem([root])),
  );
}
