/**
 * The port that the application sends its HTTP requests to: by Host or absolute-form URL to an upstream,
 * through a tunnel to one endpoint's sidecar, and the answer back.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { contain } from '../../runtime/faults.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { aborted } from '../../runtime/supervise.ts';
import { acceptedChannel } from '../bytes/socket-channel.ts';
import { Conversation } from '../http/conversation.ts';
import { Conversations } from '../http/conversations.ts';
import { OUTBOUND_CONNECTIONS_MAX } from '../limits.ts';
import { MeshHop, type MeshHopOptions } from './mesh-hop.ts';

export interface OutboundHttpOptions extends MeshHopOptions {
  readonly drainMs: number;
}

export class OutboundHttpListener {
  readonly #options: OutboundHttpOptions;
  readonly #server: Server;
  readonly #conversations: Conversations;

  constructor(options: OutboundHttpOptions) {
    this.#options = options;
    this.#conversations = new Conversations(options.now);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, socket =>
      contain(
        () => this.#serve(socket),
        () => socket.resetAndDestroy(),
      ),
    );
    this.#server.maxConnections = OUTBOUND_CONNECTIONS_MAX;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    this.#conversations.drain();
    if (!(await settlesWithin(closed, this.#options.drainMs))) this.#conversations.cut();
    await closed;
  }

  #serve(socket: Socket): void {
    const conversation = new Conversation({
      client: acceptedChannel(socket),
      now: this.#options.now,
      endMeansGone: true,
    });
    this.#conversations.add(conversation);
    conversation.start(new MeshHop(this.#options, conversation));
  }
}
