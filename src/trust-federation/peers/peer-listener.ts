/**
 * The mesh's way in: every TLS port of every component accepts here (docs/decisions/0002-one-way-in.md).
 *
 * TLS 1.3 without resumption, then the peer door, before a byte of the protocol inside is read. Whoever
 * is refused learns nothing but a closed connection, and touches no one else. Our own certificate and
 * the roots are those in force at each handshake; who is revoked later is cut off.
 */

import type { DropArgument, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { SpiffeId, TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { steadyClock } from '../../runtime/steady-clock.ts';
import { withdrawal } from '../bundles/withdrawal.ts';
import type { SvidSource } from '../identity/svid.ts';
import type { PROBE_PROTOCOL } from '../probes/peer-probe.ts';
import type { Authorizer } from './authorizer.ts';
import type { RefusalReason } from './chain-rules.ts';
import type { PeerRefusal } from './refused-peers.ts';
import {
  anonymousServerTls,
  type Clocks,
  meshServerTls,
  peerChain,
  verifyConnection,
} from './tls.ts';
import type { AcceptedPeer, BundleSource } from './verify.ts';

/** Who may come in: peers by their SVIDs, or for the join port anyone, who then has no identity. */
export type Admission =
  | {
      readonly kind: 'peers';
      readonly bundles: Collection<TrustDomain, TrustBundle>;
      readonly authorize: Authorizer;
      readonly onPeer: (socket: TLSSocket, peer: AcceptedPeer) => void;
    }
  | { readonly kind: 'anyone'; readonly onConnection: (socket: TLSSocket) => void };

export type ConnectionRefusal =
  | RefusalReason
  /** Plaintext, noise, a connection that broke off. */
  | 'tls-handshake'
  /** Mesh ports speak HTTP/2; the client offered something else. */
  | 'not-http2'
  /** The answering side of probes speaks only that; see peer-probe.ts. */
  | 'not-a-probe'
  | 'connection-limit';

export interface ConnectionRefused extends PeerRefusal {
  readonly reason: ConnectionRefusal;
}

export interface PeerListenerOptions {
  readonly identity: SvidSource;
  /** Application protocol (ALPN); default "h2". */
  readonly protocol?: 'h2' | typeof PROBE_PROTOCOL;
  readonly admission: Admission;
  readonly connectionsMax: number;
  readonly handshakeMsMax: number;
  /** Also called for connections that were accepted and are cut, with the reason. */
  readonly onRefused: (refusal: ConnectionRefused) => void;
  readonly now: () => number;
}

export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #server: Server;
  readonly #clocks: Clocks;
  readonly #sockets = new Set<Socket>();
  readonly #peers = new Map<TLSSocket, AcceptedPeer>();
  readonly #stopObserving: (() => void)[];

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#clocks = { now: options.now, steady: steadyClock(options.now) };
    const { identity, admission } = options;
    this.#server = createServer(
      {
        ...this.#credentials(),
        ALPNProtocols: [options.protocol ?? 'h2'],
        handshakeTimeout: options.handshakeMsMax,
        noDelay: true,
      },
      socket => this.#accept(socket),
    );
    this.#server.maxConnections = options.connectionsMax;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', (error, socket) => {
      this.#refuse(socket, refused('tls-handshake', error.message));
    });
    this.#server.on('drop', (dropped?: DropArgument) =>
      options.onRefused({
        ...refused('connection-limit', 'too many connections'),
        source: dropped?.remoteAddress ?? 'unknown',
        chain: [],
      }),
    );
    const renew = (): void => this.#server.setSecureContext(this.#credentials());
    this.#stopObserving = [identity.observe(renew)];
    if (admission.kind === 'peers') {
      const { bundles } = admission;
      const changed = (): void => {
        renew();
        this.#cutWithdrawn(bundles);
      };
      this.#stopObserving.push(bundles.observe(changed));
    }
  }

  get accepting(): boolean {
    return this.#server.listening;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  /** A connection that something else accepted; what was read of it must have been put back. */
  adopt(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** Stops accepting; resolves when the last connection is gone. */
  close(): Promise<void> {
    for (const stop of this.#stopObserving) stop();
    return closeServer(this.#server);
  }

  /** Ends every connection, those still in their handshake too. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #credentials(): TlsOptions {
    const { identity, admission } = this.#options;
    return admission.kind === 'anyone'
      ? anonymousServerTls(identity.current())
      : {
          ...meshServerTls(identity.current(), admission.bundles.entries().values()),
          // OpenSSL would refuse without saying whom and why; `#accept` judges, and asks it too.
          rejectUnauthorized: false,
        };
  }

  #accept(socket: TLSSocket): void {
    const { admission, protocol = 'h2' } = this.#options;
    // Whoever takes the socket listens for its end; a reset must not end the process.
    socket.on('error', () => socket.destroy());
    if (socket.alpnProtocol !== protocol) {
      const reason = protocol === 'h2' ? 'not-http2' : 'not-a-probe';
      this.#refuse(socket, refused(reason, `the client did not offer "${protocol}"`));
      return;
    }
    if (admission.kind === 'anyone') {
      admission.onConnection(socket);
      return;
    }
    const { bundles, authorize, onPeer } = admission;
    const verdict = verifyConnection(socket, bundles, authorize, this.#clocks);
    if (verdict.kind === 'refused') {
      this.#refuse(socket, verdict);
      return;
    }
    this.#peers.set(socket, verdict);
    socket.once('close', () => this.#peers.delete(socket));
    onPeer(socket, verdict);
  }

  #cutWithdrawn(bundles: BundleSource): void {
    for (const [socket, peer] of this.#peers) {
      const reason = withdrawal(peer, bundles);
      if (reason !== undefined) this.#refuse(socket, reason);
    }
  }

  #refuse(socket: TLSSocket, refusal: Refused): void {
    // Before it is destroyed: Node forgets certificates and address with the connection.
    const { reason, message, id } = refusal;
    const chain = peerChain(socket);
    this.#options.onRefused({ reason, message, id, source: sourceOf(socket), chain });
    socket.destroy();
  }
}

interface Refused {
  readonly reason: ConnectionRefusal;
  readonly message: string;
  readonly id?: SpiffeId;
}

function refused(reason: ConnectionRefusal, message: string): Refused {
  return { reason, message };
}

function sourceOf(socket: TLSSocket): string {
  return socket.remoteAddress ?? 'unknown';
}
