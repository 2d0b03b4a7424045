/** A local port that is one service of the mesh: each connection becomes a byte stream to an endpoint. */

import { createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import type { Upstream } from '../../mesh/upstream.ts';
import { settlesWithin } from '../../runtime/drain.ts';
import { afterFault } from '../../runtime/faults.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { aborted } from '../../runtime/supervise.ts';
import { join } from '../bytes/join.ts';
import { acceptedChannel } from '../bytes/socket-channel.ts';
import { OUTBOUND_CONNECTIONS_MAX } from '../limits.ts';
import type { Caller } from './caller.ts';
import type { Rotation } from './rotation.ts';

export interface OutboundTcpOptions {
  /** Looked up for each connection; undefined while the agent knows no such service. */
  readonly rotation: () => Rotation | undefined;
  readonly caller: Caller;
  readonly drainMs: number;
  readonly onRefused: (
    code: 'no-route' | 'no-endpoint' | 'forbidden' | 'upstream-unreachable',
  ) => void;
  readonly onOpened: (upstream: Upstream) => void;
}

export class OutboundTcpListener {
  readonly #options: OutboundTcpOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: OutboundTcpOptions) {
    this.#options = options;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
      socket => {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => this.#sockets.delete(socket));
        this.#serve(socket).catch((error: unknown) =>
          afterFault(error, () => socket.resetAndDestroy()),
        );
      },
    );
    this.#server.maxConnections = OUTBOUND_CONNECTIONS_MAX;
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    const closed = closeServer(this.#server);
    if (await settlesWithin(closed, this.#options.drainMs)) return;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async #serve(socket: Socket): Promise<void> {
    const { caller, onOpened } = this.#options;
    const rotation = this.#options.rotation();
    if (rotation === undefined) {
      this.#options.onRefused('no-route');
      socket.resetAndDestroy();
      return;
    }
    const left = new AbortController();
    socket.once('close', () => left.abort());
    const outcome = await caller.reach(rotation, left.signal);
    switch (outcome.kind) {
      case 'reached':
        onOpened(rotation.upstream);
        join(acceptedChannel(socket), outcome.stream.channel, () => caller.done(outcome));
        return;
      case 'no-endpoint':
      case 'forbidden':
        this.#options.onRefused(outcome.kind);
        break;
      case 'unreachable':
        this.#options.onRefused('upstream-unreachable');
        break;
      case 'aborted':
        break;
    }
    socket.resetAndDestroy();
  }
}
