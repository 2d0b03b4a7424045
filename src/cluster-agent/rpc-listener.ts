/**
 * The agent's TLS ports: control (clients have an SVID of this cluster) and join (they have none yet).
 *
 * A control connection is handed to gRPC only once its whole chain is verified, and is cut when the
 * certificate it was verified with expires, so a long stream proves who it is again.
 */

import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { SocketAddress } from '../mesh/address.ts';
import type { TrustBundle } from '../mesh/trust-bundle.ts';
import { closeServer, listen } from '../runtime/listen.ts';
import type { Logger } from '../runtime/log.ts';
import { createRpcServer, type RpcServer, type RpcService } from '../runtime/rpc-server.ts';
import { aborted } from '../runtime/supervise.ts';
import { inTrustDomain } from '../trust-federation/authorizer.ts';
import type { SvidSource } from '../trust-federation/svid.ts';
import { anonymousServerTls, meshServerTls, peerChain } from '../trust-federation/tls.ts';
import { verifyPeer } from '../trust-federation/verify.ts';
import { HANDSHAKE_MS_MAX, STOP_GRACE_MS } from './limits.ts';

export interface RpcListenerOptions {
  readonly name: string;
  /** `bundle` verifies clients, or nobody does: then anyone may come in. */
  readonly clients: { readonly bundle: () => TrustBundle } | 'anonymous';
  readonly identity: SvidSource;
  readonly services: readonly RpcService[];
  readonly connectionsMax: number;
  readonly refused: () => void;
  readonly log: Logger;
  readonly now: () => number;
}

/** Longest that a timer can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class RpcListener {
  readonly name: string;
  readonly #options: RpcListenerOptions;
  readonly #server: Server;
  readonly #rpc: RpcServer;
  readonly #stopObserving: () => void;

  constructor(options: RpcListenerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#rpc = createRpcServer(options.services, options.log);
    this.#server = createServer({
      ...this.#credentials(),
      ALPNProtocols: ['h2'],
      handshakeTimeout: HANDSHAKE_MS_MAX,
    });
    this.#server.maxConnections = options.connectionsMax;
    this.#server.on('secureConnection', socket => this.#admit(socket));
    this.#server.on('tlsClientError', error => this.#refuse('handshake failed', { error }));
    this.#stopObserving = options.identity.observe(() =>
      this.#server.setSecureContext(this.#credentials()),
    );
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    this.#stopObserving();
    const closed = closeServer(this.#server);
    await this.#rpc.close(STOP_GRACE_MS);
    await closed;
  }

  #credentials(): TlsOptions {
    const { clients, identity } = this.#options;
    return clients === 'anonymous'
      ? anonymousServerTls(identity.current())
      : meshServerTls(identity.current(), [clients.bundle()]);
  }

  #admit(socket: TLSSocket): void {
    const { clients, identity, now } = this.#options;
    socket.on('error', () => socket.destroy());
    if (clients !== 'anonymous') {
      const bundle = clients.bundle();
      const trustDomain = identity.current().trustDomain;
      const verdict = verifyPeer(
        peerChain(socket),
        new Map([[bundle.trustDomain, bundle]]),
        inTrustDomain(trustDomain),
        now(),
      );
      if (verdict.kind === 'refused') {
        this.#refuse('peer refused', { reason: verdict.reason, detail: verdict.message });
        socket.destroy();
        return;
      }
      const lifeMs = Math.min(verdict.notAfterMs - now(), TIMER_MS_MAX);
      const expiry = setTimeout(() => socket.destroy(), lifeMs);
      socket.once('close', () => clearTimeout(expiry));
    }
    this.#rpc.inject(socket);
  }

  #refuse(why: string, fields: Readonly<Record<string, unknown>>): void {
    this.#options.refused();
    this.#options.log.warn({ port: this.name, why, ...fields }, 'connection refused');
  }
}
