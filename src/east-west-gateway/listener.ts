/**
 * The door: accept, read the ClientHello, route it, join it to the endpoint.
 *
 * Whatever is wrong, the answer is the same: the connection is closed without a byte, and nothing is
 * dialed. A stop lets open connections finish for a while, then cuts them.
 */

import { createServer, type Server, type Socket } from 'node:net';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { settlesWithin } from '../runtime/drain.ts';
import { afterFault } from '../runtime/faults.ts';
import { closeServer, listen } from '../runtime/listen.ts';
import type { Logger } from '../runtime/log.ts';
import { aborted } from '../runtime/supervise.ts';
import { readHello } from './hello-reader.ts';
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_SOURCE_MAX,
  HELLO_TIMEOUT_MS,
  KEEP_ALIVE_MS,
} from './limits.ts';
import type { GatewayMetrics, GatewayRefusal } from './metrics.ts';
import type { Probes } from './probes.ts';
import { type RoutingTable, routeServerName } from './routing.ts';
import { connectEndpoint, type Direction, splice } from './splice.ts';

export interface GatewayListenerOptions {
  readonly table: RoutingTable;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  readonly now: () => number;
  readonly drainMs: number;
  readonly probes: Probes;
  /** Sees every relayed chunk. */
  readonly tap: (bytes: Buffer) => void;
  /** Smaller in tests. */
  readonly helloTimeoutMs?: number;
  readonly connectionsMax?: number;
  readonly connectionsPerSourceMax?: number;
}

/** One joined connection, as `/debug/connections` shows it. */
export interface SplicedConnection {
  readonly source: string;
  readonly sni: string;
  readonly workload: string;
  readonly sinceMs: number;
  readonly bytes: Record<Direction, number>;
}

export class GatewayListener {
  readonly #options: GatewayListenerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #perSource = new Map<string, number>();
  readonly #spliced = new Set<SplicedConnection>();
  readonly #probing = new Set<Socket>();
  #onRelayEnd: () => void = () => undefined;
  #turn = 0;

  constructor(options: GatewayListenerOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
      this.#accept(socket).catch((error: unknown) =>
        afterFault(error, () => socket.resetAndDestroy()),
      );
    });
  }

  listen(address: SocketAddress): Promise<SocketAddress> {
    return listen(this.#server, address);
  }

  get accepting(): boolean {
    return this.#server.listening;
  }

  connections(): readonly SplicedConnection[] {
    return [...this.#spliced];
  }

  /**
   * A stop: nothing new is accepted, and every probe is told, so callers open their next sessions through
   * another gateway and end those through this one as their calls finish.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { probes, drainMs, log } = this.#options;
    await aborted(signal);
    const closed = closeServer(this.#server);
    probes.drain();
    if (!(await settlesWithin(this.#drained(), drainMs))) {
      log.warn({ connections: this.#spliced.size }, 'cutting connections after drain');
    }
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await Promise.all([closed, probes.close()]);
  }

  /** Probes are not waited for: they stay as long as there is something to tell them. */
  #drained(): Promise<void> {
    return new Promise(resolve => {
      this.#onRelayEnd = () => {
        if (this.#sockets.size === this.#probing.size) resolve();
      };
      this.#onRelayEnd();
    });
  }

  async #accept(socket: Socket): Promise<void> {
    const source = socket.remoteAddress ?? 'unknown';
    socket.on('error', () => undefined);
    const objection = this.#register(socket, source);
    if (objection !== undefined) {
      this.#refuse(objection, source);
      socket.resetAndDestroy();
      return;
    }
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const hello = await readHello(socket, this.#options.helloTimeoutMs ?? HELLO_TIMEOUT_MS);
    if (hello.kind === 'refused') {
      this.#refuse(hello.reason, source);
      socket.destroy();
      return;
    }
    const decision = routeServerName(hello.serverName, this.#options.table, this.#turn++);
    if (decision.kind === 'refused') {
      this.#refuse(decision.reason, source, hello.serverName);
      socket.destroy();
      return;
    }
    if (decision.kind === 'probe') {
      this.#probing.add(socket);
      const refusal = this.#options.probes.answer(socket, hello.bytes, source);
      if (refusal === undefined) return;
      this.#refuse(refusal, source, hello.serverName);
      socket.destroy();
      return;
    }
    const { sni, endpoint } = decision;
    const upstream = await connectEndpoint(endpoint.address);
    if (upstream === undefined || socket.destroyed) {
      upstream?.destroy();
      this.#refuse('endpoint-unreachable', source, hello.serverName);
      socket.destroy();
      return;
    }
    this.#options.log.debug(
      { source, sni, alpn: hello.alpn, endpoint: formatAddress(endpoint.address) },
      'connection joined',
    );
    await this.#splice(socket, upstream, hello.bytes, {
      source,
      sni,
      workload: endpoint.workload,
      sinceMs: this.#options.now(),
      bytes: { 'to-endpoint': 0, 'to-caller': 0 },
    });
  }

  async #splice(
    caller: Socket,
    endpoint: Socket,
    hello: Buffer,
    connection: SplicedConnection,
  ): Promise<void> {
    const { metrics, tap } = this.#options;
    this.#spliced.add(connection);
    metrics.accepted.inc();
    await splice(caller, endpoint, hello, (direction, bytes) => {
      connection.bytes[direction] += bytes.length;
      metrics.bytes[direction] += bytes.length;
      tap(bytes);
    });
    this.#spliced.delete(connection);
  }

  /** Counts the connection until it closes, or says why it may not stay. */
  #register(socket: Socket, source: string): GatewayRefusal | undefined {
    const { connectionsMax, connectionsPerSourceMax, metrics } = this.#options;
    if (this.#sockets.size >= (connectionsMax ?? CONNECTIONS_MAX)) return 'connection-limit';
    const fromSource = this.#perSource.get(source) ?? 0;
    if (fromSource >= (connectionsPerSourceMax ?? CONNECTIONS_PER_SOURCE_MAX)) {
      return 'source-limit';
    }
    this.#sockets.add(socket);
    this.#perSource.set(source, fromSource + 1);
    metrics.open.set(this.#sockets.size);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#perSource.get(source) ?? 1) - 1;
      if (left === 0) this.#perSource.delete(source);
      else this.#perSource.set(source, left);
      this.#probing.delete(socket);
      metrics.open.set(this.#sockets.size);
      this.#onRelayEnd();
    });
    return undefined;
  }

  #refuse(reason: GatewayRefusal, source: string, serverName?: string): void {
    this.#options.metrics.refused.inc({ reason });
    this.#options.log.debug({ reason, source, serverName }, 'connection refused');
  }
}
