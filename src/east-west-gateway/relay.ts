/**
 * A caller's connection joined to the endpoint's sidecar: bytes both ways.
 *
 * A slow reader stops its own writer and nothing else: at most one read is held. One side's end is passed
 * on while the other keeps flowing (half-close). A side that breaks off is never shown to the other as a
 * clean end, or a cut answer would look whole.
 */

import type { TcpConnection, TcpHandler } from '../runtime/tcp-connection.ts';
import { Slabs } from '../wire/slabs.ts';
import { BULK_BUFFERS_MAX, BULK_READ_BYTES, READ_BYTES } from './limits.ts';

export type Direction = 'to-endpoint' | 'to-caller';

/** Of all connections: thousands that are idle, or speak now and then, need no buffers of their own. */
export const sharedBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
/** What was read there is written from here. Another takes its place when the kernel did not take all. */
let scratch = Buffer.allocUnsafeSlow(READ_BYTES);
/** For a direction whose reads fill the shared one, as long as they do. */
const bulk = new Slabs(BULK_READ_BYTES, BULK_BUFFERS_MAX);

export interface RelayWatcher {
  /** May look at the bytes only during the call. */
  onRelayed(direction: Direction, bytes: Buffer): void;
  /** Both connections are given up. */
  onRelayEnd(): void;
}

export class Relay {
  readonly watcher: RelayWatcher;
  readonly #caller: Side;
  readonly #endpoint: Side;
  #isOver = false;

  /** Takes over both connections, which are connected. */
  constructor(caller: TcpConnection, endpoint: TcpConnection, watcher: RelayWatcher) {
    this.watcher = watcher;
    this.#caller = new Side(this, 'to-endpoint', caller, endpoint);
    this.#endpoint = new Side(this, 'to-caller', endpoint, caller);
  }

  /** `first` goes to the endpoint before all else; the caller may have ended after it. */
  start(first: Buffer, hasEnded: boolean): void {
    this.#endpoint.connection.resume();
    this.#caller.connection.resume();
    this.#caller.onBytes(first);
    if (hasEnded) this.#caller.onEnd();
  }

  /** Both sides see a break. */
  cut(): void {
    if (this.#isOver) return;
    this.#caller.connection.reset();
    this.#endpoint.connection.reset();
    this.#finish();
  }

  keepAlive(idleMs: number): void {
    this.#caller.connection.keepAlive(idleMs);
    this.#endpoint.connection.keepAlive(idleMs);
  }

  /** True: both have ended, and nothing is on its way any more. */
  closeWhenDone(): boolean {
    if (this.#isOver) return true;
    if (!this.#caller.isDone || !this.#endpoint.isDone) return false;
    this.#caller.connection.close();
    this.#endpoint.connection.close();
    this.#finish();
    return true;
  }

  #finish(): void {
    this.#isOver = true;
    this.#caller.release();
    this.#endpoint.release();
    this.watcher.onRelayEnd();
  }
}

/** What comes from one of them, and how it goes to the other. */
class Side implements TcpHandler {
  readonly connection: TcpConnection;
  readonly #relay: Relay;
  readonly #direction: Direction;
  readonly #to: TcpConnection;
  #hasEnded = false;

  constructor(relay: Relay, direction: Direction, from: TcpConnection, to: TcpConnection) {
    this.#relay = relay;
    this.#direction = direction;
    this.#to = to;
    this.connection = from;
    from.handler = this;
  }

  get isDone(): boolean {
    return this.#hasEnded && !this.#to.pending;
  }

  onBytes(bytes: Buffer): void {
    this.#relay.watcher.onRelayed(this.#direction, bytes);
    const from = this.connection;
    const isShared = bytes.buffer === sharedBuffer.buffer;
    // Bytes of another buffer stay where they are until they are gone: nothing is read meanwhile.
    const isGone = isShared ? writeCopy(this.#to, bytes) : this.#to.write(bytes);
    if (!isGone) from.pause();
    else if (isShared) {
      if (bytes.length === READ_BYTES) from.buffer = bulk.take();
    } else if (bytes.buffer === from.buffer.buffer && bytes.length < BULK_READ_BYTES) {
      this.#share();
    }
  }

  onEnd(): void {
    this.#hasEnded = true;
    if (!this.#relay.closeWhenDone()) this.#to.end();
  }

  /** Of what was written here, which the other side is read from. */
  onDrained(): void {
    if (!this.#relay.closeWhenDone()) this.#to.resume();
  }

  onBroken(): void {
    this.#relay.cut();
  }

  release(): void {
    // The kernel may still have to read what is pending.
    if (!this.#to.pending) this.#share();
  }

  #share(): void {
    if (this.connection.buffer !== sharedBuffer) bulk.recycle(this.connection.buffer);
    this.connection.buffer = sharedBuffer;
  }
}

function writeCopy(to: TcpConnection, bytes: Buffer): boolean {
  bytes.copy(scratch);
  const isGone = to.write(scratch.subarray(0, bytes.length));
  if (!isGone) scratch = Buffer.allocUnsafeSlow(READ_BYTES);
  return isGone;
}
