/**
 * The door: how many may come in, what each waits for, and how it is closed.
 *
 * A stop lets open connections finish for a while, then cuts them.
 */

import type { SocketAddress } from '../mesh/address.ts';
import { Deadlines } from '../runtime/deadlines.ts';
import { settlesWithin } from '../runtime/drain.ts';
import type { Logger } from '../runtime/log.ts';
import { aborted } from '../runtime/supervise.ts';
import { createTcpServer } from '../runtime/tcp.ts';
import type { TcpConnection, TcpServer } from '../runtime/tcp-connection.ts';
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_SOURCE_MAX,
  ENDPOINT_CONNECT_TIMEOUT_MS,
  HELLO_TIMEOUT_MS,
  KEEP_ALIVE_EVERY_MS,
} from './limits.ts';
import type { GatewayMetrics, GatewayRefusal } from './metrics.ts';
import { type Door, type JoinedConnection, Passage } from './passage.ts';
import type { Probes } from './probes.ts';
import { type Direction, sharedBuffer } from './relay.ts';
import { type RoutingDecision, type RoutingTable, routeServerName } from './routing.ts';

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
  readonly connectTimeoutMs?: number;
  readonly connectionsMax?: number;
  readonly connectionsPerSourceMax?: number;
}

export class GatewayListener implements Door {
  readonly #options: GatewayListenerOptions;
  readonly #server: TcpServer;
  readonly #passages = new Set<Passage>();
  readonly #perSource = new Map<string, number>();
  readonly #withoutHello: Deadlines<Passage>;
  readonly #dialing: Deadlines<Passage>;
  #keepingAlive: NodeJS.Timeout | undefined;
  #onPassageEnd: () => void = () => undefined;
  #turn = 0;

  constructor(options: GatewayListenerOptions) {
    this.#options = options;
    const { helloTimeoutMs = HELLO_TIMEOUT_MS } = options;
    const { connectTimeoutMs = ENDPOINT_CONNECT_TIMEOUT_MS } = options;
    this.#withoutHello = new Deadlines({
      waitMs: helloTimeoutMs,
      onDue: passage => passage.refuse('hello-timeout'),
    });
    this.#dialing = new Deadlines({
      waitMs: connectTimeoutMs,
      onDue: passage => passage.refuse('endpoint-unreachable'),
    });
    this.#server = createTcpServer(sharedBuffer, connection => this.#accept(connection));
  }

  async listen(address: SocketAddress): Promise<SocketAddress> {
    const bound = await this.#server.listen(address);
    this.#keepingAlive = setInterval(() => {
      for (const passage of this.#passages) passage.keepAlive();
    }, KEEP_ALIVE_EVERY_MS);
    return bound;
  }

  get accepting(): boolean {
    return this.#server.listening;
  }

  connections(): readonly JoinedConnection[] {
    return [...this.#passages].flatMap(passage => passage.describe() ?? []);
  }

  /**
   * A stop: nothing new is accepted, and every probe is told, so callers open their next sessions through
   * another gateway and end those through this one as their calls finish.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { probes, drainMs, log } = this.#options;
    await aborted(signal);
    const closed = this.#server.close();
    probes.drain();
    if (!(await settlesWithin(this.#drained(), drainMs))) {
      log.warn({ connections: this.connections().length }, 'cutting connections after drain');
    }
    for (const passage of this.#passages) passage.cut();
    clearInterval(this.#keepingAlive);
    this.#withoutHello.clear();
    this.#dialing.clear();
    await Promise.all([closed, probes.close()]);
  }

  /** Probes are not waited for: they stay as long as there is something to tell them. */
  #drained(): Promise<void> {
    return new Promise(resolve => {
      this.#onPassageEnd = () => {
        if ([...this.#passages].every(passage => passage.isProbe)) resolve();
      };
      this.#onPassageEnd();
    });
  }

  #accept(connection: TcpConnection): void {
    const source = connection.remoteAddress ?? 'unknown';
    const { connectionsMax = CONNECTIONS_MAX, metrics } = this.#options;
    const { connectionsPerSourceMax = CONNECTIONS_PER_SOURCE_MAX } = this.#options;
    const fromSource = this.#perSource.get(source) ?? 0;
    const isFull = this.#passages.size >= connectionsMax;
    if (isFull || fromSource >= connectionsPerSourceMax) {
      this.#refused(isFull ? 'connection-limit' : 'source-limit', { source });
      connection.reset();
      return;
    }
    const passage = new Passage(connection, source, this);
    this.#passages.add(passage);
    this.#perSource.set(source, fromSource + 1);
    metrics.open++;
    this.#withoutHello.add(passage);
  }

  route(serverName: string | undefined): RoutingDecision {
    return routeServerName(serverName, this.#options.table, this.#turn++);
  }

  onDial(passage: Passage): void {
    this.#withoutHello.delete(passage);
    this.#dialing.add(passage);
  }

  onJoined(passage: Passage): void {
    this.#dialing.delete(passage);
    this.#options.metrics.joined++;
    const { log } = this.#options;
    if (log.isLevelEnabled('debug')) log.debug(passage.describeTarget(), 'connection joined');
  }

  probe(passage: Passage, hello: Buffer): GatewayRefusal | undefined {
    const { probes } = this.#options;
    const refusal = probes.answer(() => passage.toSocket(), hello, passage.source);
    if (refusal === undefined) this.#withoutHello.delete(passage);
    return refusal;
  }

  onRelayed(direction: Direction, bytes: Buffer): void {
    this.#options.metrics.bytes[direction] += bytes.length;
    this.#options.tap(bytes);
  }

  onRefused(passage: Passage, reason: GatewayRefusal): void {
    this.#refused(reason, passage.describeTarget());
  }

  onClosed(passage: Passage): void {
    this.#passages.delete(passage);
    this.#withoutHello.delete(passage);
    this.#dialing.delete(passage);
    const left = (this.#perSource.get(passage.source) ?? 1) - 1;
    if (left === 0) this.#perSource.delete(passage.source);
    else this.#perSource.set(passage.source, left);
    this.#options.metrics.open--;
    this.#onPassageEnd();
  }

  now(): number {
    return this.#options.now();
  }

  #refused(reason: GatewayRefusal, who: Readonly<Record<string, string | undefined>>): void {
    const { metrics, log } = this.#options;
    metrics.refused.inc({ reason });
    if (log.isLevelEnabled('debug')) log.debug({ reason, ...who }, 'connection refused');
  }
}
