/**
 * Lets member clusters in, and nobody else: TLS with a certificate on both sides, then the one door for
 * peers, before a byte of gRPC is read. Who is refused learns nothing but a closed connection.
 */

import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../mesh/address.ts';
import { messageOf } from '../mesh/errors.ts';
import type { TrustDomain } from '../mesh/spiffe-id.ts';
import { closeServer, listen } from '../runtime/listen.ts';
import type { Logger } from '../runtime/log.ts';
import type { RpcServer } from '../runtime/rpc-server.ts';
import { aborted } from '../runtime/supervise.ts';
import { anyMember } from '../trust-federation/authorizer.ts';
import type { ClusterSetCredentials } from '../trust-federation/clusterset-authority.ts';
import { meshServerTls, peerChain } from '../trust-federation/tls.ts';
import { verifyPeer } from '../trust-federation/verify.ts';
import { CONNECTIONS_MAX, HANDSHAKE_MS_MAX, STOP_GRACE_MS } from './limits.ts';
import type { RegistryMetrics } from './metrics.ts';

export interface PeerListenerOptions {
  readonly credentials: ClusterSetCredentials;
  readonly rpc: RpcServer;
  readonly metrics: RegistryMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #clusterSet: TrustDomain;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  constructor(options: PeerListenerOptions) {
    const { svid, roots } = options.credentials;
    this.#options = options;
    this.#clusterSet = svid.trustDomain;
    this.#server = createServer({
      ...meshServerTls(svid, [roots]),
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_MS_MAX,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.on('connection', (socket: Socket) => this.#track(socket));
    this.#server.on('secureConnection', socket => this.#accept(socket));
    this.#server.on('tlsClientError', error => this.#refused('tls', messageOf(error)));
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  /** Serves until aborted; then running calls get a moment to finish. */
  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    await this.#options.rpc.close(STOP_GRACE_MS);
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #accept(socket: TLSSocket): void {
    const { credentials, rpc, log, now } = this.#options;
    socket.on('error', error => log.debug({ error }, 'connection of a member cluster failed'));
    const bundles = new Map([[this.#clusterSet, credentials.roots]]);
    const verdict = verifyPeer(peerChain(socket), bundles, anyMember(this.#clusterSet), now());
    if (verdict.kind === 'accepted') {
      log.info({ peer: verdict.id }, 'member cluster connected');
      rpc.inject(socket);
      return;
    }
    this.#refused(verdict.reason, verdict.message);
    socket.destroy();
  }

  #refused(reason: string, message: string): void {
    this.#options.metrics.refusedPeers.inc({ reason });
    this.#options.log.warn({ reason, message }, 'refused a connection');
  }

  #track(socket: Socket): void {
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
  }
}
