/**
 * The mesh's port of this workload: HTTP/2 from other sidecars, directly or through a gateway.
 *
 * The peer listener has verified who it is before a byte is handled here. A connection outlives the
 * certificate it was opened with, so that long streams do; its caller opens the next one under its next.
 */

import type { TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Collection } from '../../mesh/collection.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustBundle } from '../../mesh/trust-bundle.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { contain } from '../../runtime/faults.ts';
import { aborted } from '../../runtime/supervise.ts';
import type { SvidSource } from '../../trust-federation/identity/svid.ts';
import { anyIdentity } from '../../trust-federation/peers/authorizer.ts';
import {
  type ConnectionRefused,
  PeerListener,
} from '../../trust-federation/peers/peer-listener.ts';
import type { AcceptedPeer } from '../../trust-federation/peers/verify.ts';
import { Http2Connection } from '../../wire/http2/connection.ts';
import { Conversations } from '../http/conversations.ts';
import { INBOUND_CONNECTIONS_MAX, INBOUND_HANDSHAKE_TIMEOUT_MS } from '../limits.ts';
import { FrameSocket, slabs } from '../tunnel/frame-socket.ts';
import type { StreamHandler } from './streams.ts';

export interface InboundListenerOptions {
  readonly identity: SvidSource;
  readonly bundles: Collection<TrustDomain, TrustBundle>;
  readonly streams: StreamHandler;
  readonly now: () => number;
  readonly drainMs: number;
  readonly onAccepted: () => void;
  readonly onRefused: (refusal: ConnectionRefused) => void;
}

export class InboundListener {
  readonly #options: InboundListenerOptions;
  readonly #listener: PeerListener;
  readonly #connections = new Set<Http2Connection>();
  readonly #conversations: Conversations;

  constructor(options: InboundListenerOptions) {
    this.#options = options;
    this.#conversations = new Conversations(options.now);
    const { identity, bundles, now, onRefused } = options;
    this.#listener = new PeerListener({
      identity,
      // Whoever has proven an identity may connect; what it may call is asked stream by stream.
      admission: {
        kind: 'peers',
        bundles,
        authorize: anyIdentity,
        onPeer: (socket, peer) =>
          contain(
            () => this.#serve(socket, peer),
            () => socket.destroy(),
          ),
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
    // GOAWAY: callers open their next stream elsewhere, and this connection ends with its last one.
    for (const connection of this.#connections) connection.goaway();
    if (!(await settlesWithin(closed, this.#options.drainMs))) this.#listener.cut();
    await closed;
  }

  #serve(socket: TLSSocket, peer: AcceptedPeer): void {
    const { onAccepted, streams, now } = this.#options;
    onAccepted();
    const serverName = serverNameOf(socket);
    const mesh = { peer, serverName, conversations: this.#conversations };
    const frames = new FrameSocket(socket);
    const connection = new Http2Connection({
      role: 'server',
      slabs,
      now,
      handler: {
        onStream: (stream, head) => streams.serve(stream, head, mesh),
        onOutput: () => frames.scheduleFlush(),
        onSettled: () => undefined,
        onGoaway: () => undefined,
        onEnded: () => {
          this.#connections.delete(connection);
          frames.end();
        },
      },
    });
    this.#connections.add(connection);
    frames.start(connection);
  }
}

/** Empty when the client sent none, which Node says with false. */
function serverNameOf(socket: TLSSocket): string {
  const { servername } = socket as { servername?: string | false | null };
  return typeof servername === 'string' ? servername : '';
}
