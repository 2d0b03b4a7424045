/**
 * What a peer may still send us, on one stream or on the connection (RFC 9113 §5.2).
 *
 * Credit is given back in steps of at least half a window. On the connection it is given back on receipt
 * as long as the unread bytes of all streams stay bounded: otherwise a few readers that stopped would
 * hold the whole connection's window, and a slow reader must stall only itself.
 */

export class ReceiveWindow {
  readonly #size: number;
  readonly #unreadMax: number;
  /** What the peer may still send. */
  #available: number;
  /** Received, and not consumed by the application. */
  #unread = 0;

  /** `initial`: what the peer believes the window to be before the first update. */
  constructor(size: number, unreadMax: number, initial: number) {
    this.#size = size;
    this.#unreadMax = unreadMax;
    this.#available = initial;
  }

  get unread(): number {
    return this.#unread;
  }

  /** False: more than the window allowed. */
  received(bytes: number): boolean {
    this.#available -= bytes;
    this.#unread += bytes;
    return this.#available >= 0;
  }

  consumed(bytes: number): void {
    this.#unread -= bytes;
  }

  /** The increment to announce now; 0 while it is not worth a frame. */
  replenish(): number {
    const increment = Math.min(this.#size, this.#unreadMax - this.#unread) - this.#available;
    if (increment < this.#size / 2) return 0;
    this.#available += increment;
    return increment;
  }
}
