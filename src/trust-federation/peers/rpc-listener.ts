/**
 * A gRPC port of the mesh: the peer listener in front, gRPC on what it lets in.
 *
 * A connection is cut when the certificate it was admitted with expires, so a long stream proves again
 * who it is.
 */

import type { TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import type { Logger } from '../../runtime/log.ts';
import { createRpcServer, type RpcServer, type RpcService } from '../../runtime/rpc-server.ts';
import { aborted } from '../../runtime/supervise.ts';
import type { SvidSource } from '../identity/svid.ts';
import type { Authorizer } from './authorizer.ts';
import { type ConnectionRefused, PeerListener } from './peer-listener.ts';
import type { AcceptedPeer } from './verify.ts';

export interface RpcListenerOptions {
  /** For logs; also the task's name. */
  readonly name: string;
  readonly identity: SvidSource;
  readonly clients:
    | 'anyone'
    | {
        readonly bundles: Collection<TrustDomain, TrustBundle>;
        readonly authorize: Authorizer;
      };
  readonly services: readonly RpcService[];
  readonly limits: {
    readonly connectionsMax: number;
    readonly handshakeMsMax: number;
    /** For running calls when the process stops; then they are cut. */
    readonly stopGraceMs: number;
  };
  readonly onRefused: (refusal: ConnectionRefused) => void;
  readonly log: Logger;
  readonly now: () => number;
}

/** Longest that a timer can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class RpcListener {
  readonly name: string;
  readonly #options: RpcListenerOptions;
  readonly #rpc: RpcServer;
  readonly #listener: PeerListener;

  constructor(options: RpcListenerOptions) {
    const { name, clients, identity, limits, log, now, onRefused } = options;
    this.name = name;
    this.#options = options;
    this.#rpc = createRpcServer(options.services, log);
    this.#listener = new PeerListener({
      identity,
      admission:
        clients === 'anyone'
          ? { kind: 'anyone', onConnection: socket => this.#rpc.inject(socket) }
          : { kind: 'peers', ...clients, onPeer: (socket, peer) => this.#admit(socket, peer) },
      connectionsMax: limits.connectionsMax,
      handshakeMsMax: limits.handshakeMsMax,
      onRefused: refusal => {
        onRefused(refusal);
        const { reason, message, source, id } = refusal;
        log.warn({ port: name, reason, message, source, id }, 'connection refused');
      },
      now,
    });
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return this.#listener.listen(address);
  }

  /** Serves until aborted; then running calls get a moment to finish. */
  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = this.#listener.close();
    await this.#rpc.close(this.#options.limits.stopGraceMs);
    this.#listener.cut();
    await closed;
  }

  #admit(socket: TLSSocket, peer: AcceptedPeer): void {
    const { name, log, now } = this.#options;
    log.debug({ port: name, peer: peer.id }, 'peer connected');
    const lifeMs = Math.min(peer.notAfterMs - now(), TIMER_MS_MAX);
    const expiry = setTimeout(() => socket.destroy(), lifeMs);
    socket.once('close', () => clearTimeout(expiry));
    // gRPC shows handlers the certificate of authorized connections alone. OpenSSL says so by the wall
    // clock, which may have been set back; the listener has judged this peer by both clocks.
    socket.authorized = true;
    this.#rpc.inject(socket);
  }
}
