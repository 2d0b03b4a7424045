/**
 * The mesh's port of this workload: HTTP/2 from other sidecars, directly or through a gateway.
 *
 * The peer listener has verified who it is before a byte is handled here. A connection outlives the
 * certificate it was opened with, so that long streams do; its caller opens the next one under its next.
 */

import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { aborted } from '../../runtime/supervise.ts';
import { anyIdentity } from '../../trust-federation/authorizer.ts';
import { type ConnectionRefusal, PeerListener } from '../../trust-federation/peer-listener.ts';
import type { SvidSource } from '../../trust-federation/svid.ts';
import type { AcceptedPeer } from '../../trust-federation/verify.ts';
import {
  HEADER_LIST_BYTES_MAX,
  INBOUND_CONNECTIONS_MAX,
  INBOUND_HANDSHAKE_TIMEOUT_MS,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  STREAMS_PER_CONNECTION_MAX,
} from '../limits.ts';
import type { StreamHandler } from './streams.ts';

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
  readonly #listener: PeerListener;
  readonly #sessions = new Set<ServerHttp2Session>();

  constructor(options: InboundListenerOptions) {
    this.#options = options;
    const { identity, bundles, now, onRefused } = options;
    this.#listener = new PeerListener({
      identity,
      // Whoever has proven an identity may connect.
      admission: {
        kind: 'peers',
        bundles,
        authorize: anyIdentity,
        onPeer: (socket, peer) => this.#serve(socket, peer),
      },
      connectionsMax: INBOUND_CONNECTIONS_MAX,
      handshakeMsMax: INBOUND_HANDSHAKE_TIMEOUT_MS,
      onRefused,
      now,
    });
  }

  get accepting(): boolean {
    return this.#listener.accepting;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return this.#listener.listen(address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = this.#listener.close();
    // GOAWAY: callers open their next stream elsewhere, and this session ends with its last one.
    for (const session of this.#sessions) session.close();
    if (await settlesWithin(closed, this.#options.drainMs)) return;
    this.#listener.cut();
    await closed;
  }

  #serve(socket: TLSSocket, peer: AcceptedPeer): void {
    const { onAccepted, streams } = this.#options;
    onAccepted();
    const session = performServerHandshake(socket, {
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
      void streams.serve(stream, headers, connection);
    });
  }
}

/** Empty when the client sent none, which Node says with false. */
function serverNameOf(socket: TLSSocket): string {
  const { servername } = socket as { servername?: string | false | null };
  return typeof servername === 'string' ? servername : '';
}
