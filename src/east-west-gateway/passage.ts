/**
 * One accepted connection on its way through: its hello, the endpoint that leads to, then a relay.
 *
 * Whatever is wrong, the answer is the same: the connection is closed without a byte. Thousands of these
 * are made each second, so nothing here waits in a promise or with a timer of its own.
 */

import type { Socket } from 'node:net';
import { formatAddress } from '../mesh/address.ts';
import type { GatewayEndpoint } from '../mesh/upstream.ts';
import { dial } from '../runtime/tcp.ts';
import type { TcpConnection, TcpHandler } from '../runtime/tcp-connection.ts';
import { HelloReader } from './hello-reader.ts';
import { KEEP_ALIVE_MS } from './limits.ts';
import type { GatewayRefusal } from './metrics.ts';
import { type Direction, Relay, type RelayWatcher, sharedBuffer } from './relay.ts';
import type { RoutingDecision } from './routing.ts';

/** What a passage asks of the listener. */
export interface Door {
  route(serverName: string | undefined): RoutingDecision;
  /** Waiting for the endpoint begins. */
  onDial(passage: Passage): void;
  onJoined(passage: Passage): void;
  /** Why it may not be taken over; undefined when it is, as the socket that `toSocket` makes. */
  probe(passage: Passage, hello: Buffer): GatewayRefusal | undefined;
  onRelayed(direction: Direction, bytes: Buffer): void;
  onRefused(passage: Passage, reason: GatewayRefusal): void;
  /** It is over; told once. */
  onClosed(passage: Passage): void;
  now(): number;
}

/** One joined connection, as `/debug/connections` shows it. */
export interface JoinedConnection {
  readonly source: string;
  readonly sni: string;
  readonly workload: string;
  readonly sinceMs: number;
  readonly bytes: Record<Direction, number>;
}

type State =
  | { readonly kind: 'hello'; readonly reader: HelloReader }
  | {
      readonly kind: 'dialing';
      readonly connection: TcpConnection;
      /** The hello, and what came after it. */
      readonly held: Buffer[];
    }
  | { readonly kind: 'joined'; readonly relay: Relay; readonly sinceMs: number }
  | { readonly kind: 'probe'; readonly socket: Socket }
  | { readonly kind: 'closed' };

export class Passage implements TcpHandler, RelayWatcher {
  readonly source: string;
  readonly #caller: TcpConnection;
  readonly #door: Door;
  #state: State = { kind: 'hello', reader: new HelloReader() };
  #callerEnded = false;
  #isKeptAlive = false;
  #serverName: string | undefined;
  #target: { readonly sni: string; readonly endpoint: GatewayEndpoint } | undefined;
  readonly #bytes: Record<Direction, number> = { 'to-endpoint': 0, 'to-caller': 0 };

  constructor(caller: TcpConnection, source: string, door: Door) {
    this.source = source;
    this.#caller = caller;
    this.#door = door;
    caller.handler = this;
  }

  get isProbe(): boolean {
    return this.#state.kind === 'probe';
  }

  /** Undefined while it is not joined. */
  describe(): JoinedConnection | undefined {
    if (this.#state.kind !== 'joined' || this.#target === undefined) return undefined;
    const { sni, endpoint } = this.#target;
    const { sinceMs } = this.#state;
    return { source: this.source, sni, workload: endpoint.workload, sinceMs, bytes: this.#bytes };
  }

  /** For the log. */
  describeTarget(): Readonly<Record<string, string | undefined>> {
    const { sni, endpoint } = this.#target ?? {};
    return {
      source: this.source,
      serverName: this.#serverName,
      sni,
      endpoint: endpoint && formatAddress(endpoint.address),
    };
  }

  onBytes(bytes: Buffer): void {
    const state = this.#state;
    if (state.kind === 'hello') this.#onHello(state.reader, bytes);
    else if (state.kind === 'dialing') {
      // One read of what a caller sends without an answer, and the rest when there is one who takes it.
      state.held.push(Buffer.from(bytes));
      this.#caller.pause();
    }
  }

  onEnd(): void {
    if (this.#state.kind === 'hello') this.refuse('closed-early');
    else this.#callerEnded = true;
  }

  onBroken(): void {
    this.refuse('closed-early');
  }

  /** Nothing is written before there is a relay. */
  onDrained(): void {}

  refuse(reason: GatewayRefusal): void {
    if (this.#state.kind === 'closed') return;
    this.#door.onRefused(this, reason);
    if (this.#state.kind === 'dialing') this.#state.connection.close();
    this.#caller.close();
    this.#close();
  }

  /** Both sides see a break. */
  cut(): void {
    switch (this.#state.kind) {
      case 'joined':
        this.#state.relay.cut();
        return;
      case 'probe':
        this.#state.socket.resetAndDestroy();
        return;
      case 'dialing':
        this.#state.connection.close();
        break;
      case 'hello':
        break;
      case 'closed':
        return;
    }
    this.#caller.reset();
    this.#close();
  }

  /** From the first call on a peer that vanished does not hold it for ever. */
  keepAlive(): void {
    if (this.#state.kind !== 'joined' || this.#isKeptAlive) return;
    this.#isKeptAlive = true;
    this.#state.relay.keepAlive(KEEP_ALIVE_MS);
  }

  /** For whoever answers a probe; this one then lasts as long as the socket. */
  toSocket(): Socket {
    const socket = this.#caller.toSocket();
    socket.on('error', () => undefined).once('close', () => this.#close());
    this.#state = { kind: 'probe', socket };
    return socket;
  }

  onRelayed(direction: Direction, bytes: Buffer): void {
    this.#bytes[direction] += bytes.length;
    this.#door.onRelayed(direction, bytes);
  }

  onRelayEnd(): void {
    this.#close();
  }

  #onHello(reader: HelloReader, bytes: Buffer): void {
    const hello = reader.read(bytes);
    if (hello.kind === 'incomplete') return;
    if (hello.kind === 'refused') {
      this.refuse(hello.reason);
      return;
    }
    this.#serverName = hello.serverName;
    const decision = this.#door.route(hello.serverName);
    if (decision.kind === 'refused') this.refuse(decision.reason);
    else if (decision.kind === 'routed') {
      this.#target = decision;
      this.#dial(decision.endpoint, hello.bytes);
    } else {
      const refusal = this.#door.probe(this, hello.bytes);
      if (refusal !== undefined) this.refuse(refusal);
    }
  }

  #dial({ address }: GatewayEndpoint, hello: Buffer): void {
    const connection = dial(address, sharedBuffer, isConnected =>
      isConnected ? this.#join() : this.refuse('endpoint-unreachable'),
    );
    this.#state = { kind: 'dialing', connection, held: [hello] };
    this.#door.onDial(this);
  }

  #join(): void {
    if (this.#state.kind !== 'dialing') return;
    const { connection, held } = this.#state;
    const [hello] = held;
    const first = held.length === 1 && hello !== undefined ? hello : Buffer.concat(held);
    const relay = new Relay(this.#caller, connection, this);
    this.#state = { kind: 'joined', relay, sinceMs: this.#door.now() };
    this.#door.onJoined(this);
    relay.start(first, this.#callerEnded);
  }

  #close(): void {
    if (this.#state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    this.#door.onClosed(this);
  }
}
