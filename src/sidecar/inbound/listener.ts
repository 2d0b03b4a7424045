/**
 * The mesh's port of this workload: TLS from other sidecars, directly or through a gateway.
 *
 * The peer is verified when the handshake is done and before a byte of it is handled. What is not a
 * mesh peer (plaintext, noise, a stranger's certificate) is closed and counted, and touches no one else.
 */

import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { DropArgument, Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { aborted } from '../../runtime/supervise.ts';
import { anyIdentity } from '../../trust-federation/authorizer.ts';
import type { SvidSource } from '../../trust-federation/svid.ts';
import { meshServerTls, peerChain } from '../../trust-federation/tls.ts';
import { type AcceptedPeer, type PeerVerdict, verifyPeer } from '../../trust-federation/verify.ts';
import {
  HEADER_LIST_BYTES_MAX,
  INBOUND_CONNECTIONS_MAX,
  INBOUND_HANDSHAKE_TIMEOUT_MS,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_PER_CONNECTION_MAX,
} from '../limits.ts';
import type { StreamHandler } from './streams.ts';

export type ConnectionRefusal =
  | Extract<PeerVerdict, { kind: 'refused' }>['reason']
  /** Plaintext, noise, a client without a certificate, one that no known root signed. */
  | 'tls-handshake'
  | 'not-http2'
  | 'connection-limit';

export interface InboundListenerOptions {
  readonly identity: SvidSource;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly streams: StreamHandler;
  readonly now: () => number;
  readonly drainMs: number;
  readonly onAccepted: () => void;
  readonly onRefused: (reason: ConnectionRefusal, message: string, source: string) => void;
}

export class InboundListener {
  readonly #options: InboundListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #stopObserving: readonly (() => void)[];

  constructor(options: InboundListenerOptions) {
    this.#options = options;
    const { identity, bundles, onRefused } = options;
    const secureContext = () => meshServerTls(identity.current(), bundles.entries().values());
    this.#server = createServer(
      {
        ...secureContext(),
        ALPNProtocols: ['h2'],
        handshakeTimeout: INBOUND_HANDSHAKE_TIMEOUT_MS,
        noDelay: true,
      },
      socket => this.#accept(socket),
    );
    this.#server.maxConnections = INBOUND_CONNECTIONS_MAX;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('tlsClientError', (error, socket) => {
      onRefused('tls-handshake', error.message, socket.remoteAddress ?? 'unknown');
      socket.destroy();
    });
    this.#server.on('drop', (dropped?: DropArgument) =>
      onRefused('connection-limit', 'too many connections', dropped?.remoteAddress ?? 'unknown'),
    );
    const renew = (): void => this.#server.setSecureContext(secureContext());
    this.#stopObserving = [identity.observe(renew), bundles.observe(renew)];
  }

  get accepting(): boolean {
    return this.#server.listening;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    for (const stop of this.#stopObserving) stop();
    const closed = closeServer(this.#server);
    // GOAWAY: callers open their next stream elsewhere, and this session ends with its last one.
    for (const session of this.#sessions) session.close();
    if (await settlesWithin(closed, this.#options.drainMs)) return;
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: TLSSocket): void {
    const { bundles, now, onAccepted, onRefused } = this.#options;
    const source = socket.remoteAddress ?? 'unknown';
    socket.on('error', () => undefined);
    if (socket.alpnProtocol !== 'h2') {
      onRefused('not-http2', 'the client did not offer "h2"', source);
      socket.destroy();
      return;
    }
    const peer = verifyPeer(peerChain(socket), bundles, anyIdentity, now());
    if (peer.kind === 'refused') {
      onRefused(peer.reason, peer.message, source);
      socket.destroy();
      return;
    }
    onAccepted();
    this.#serve(socket, peer);
  }

  #serve(socket: TLSSocket, peer: AcceptedPeer): void {
    const session = performServerHandshake(socket, {
      maxSessionInvalidFrames: 10,
      settings: {
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxConcurrentStreams: STREAMS_PER_CONNECTION_MAX,
        maxHeaderListSize: HEADER_LIST_BYTES_MAX,
      },
    });
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.on('error', () => undefined);
    const connection = { peer, serverName: serverNameOf(socket) };
    session.on('stream', (stream, headers) => {
      void this.#options.streams.serve(stream, headers, connection);
    });
  }
}

/** Empty when the client sent none, which Node says with false. */
function serverNameOf(socket: TLSSocket): string {
  const { servername } = socket as { servername?: string | false | null };
  return typeof servername === 'string' ? servername : '';
}
