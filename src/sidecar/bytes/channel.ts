/**
 * A byte stream in both directions: an application's socket or a stream of the tunnel.
 *
 * The data path is written against this, so a request goes through the same code whichever of the two it
 * came from. A channel takes all it is given: backpressure is the answer of `send`, and whoever goes on
 * sending after `false` holds the memory for it. A direction that broke off is never shown as its end.
 */

export interface Channel {
  /** Who is told; what arrived before there is one is kept (bounded by the receive window) and told now. */
  attach(owner: ChannelOwner): void;
  /**
   * In one write: latin1 text, bytes from `start` to `end`, latin1 text. The bytes are the caller's again
   * at once. False: wait for `onWritable`.
   */
  send(before: string, bytes: Buffer, start: number, end: number, after: string): boolean;
  /** After what was sent; the other direction goes on. */
  end(): void;
  /** Both directions, at once, and so that the peer sees a failure. The owner is told nothing more. */
  abort(): void;
  /** No more reading from the peer. What is on its way already may still be told. */
  pause(): void;
  resume(): void;
  /** Nothing more comes or goes. */
  readonly closed: boolean;
}

export interface ChannelOwner {
  /** Valid only during the call. */
  onData(bytes: Buffer): void;
  /** The peer has sent everything. */
  onEnd(): void;
  /** After `send` was false. */
  onWritable(): void;
  /**
   * Both directions are gone, other than by both ends. `untouched`: the peer says that it has done
   * nothing with what was sent since the last answer, so the same may be sent elsewhere.
   */
  onBroken(untouched: boolean): void;
}

export const NO_BYTES = Buffer.alloc(0);
