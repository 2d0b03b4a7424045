/**
 * TCP as a relay needs it, and no more: what both ways to a socket offer (docs/decisions/0013).
 *
 * `tcp-handles.ts` is below Node's public API, `tcp-public.ts` is not, `tcp.ts` says which it is.
 */

import type { Socket } from 'node:net';
import type { SocketAddress } from '../mesh/address.ts';

/** Told what happens on a connection, until that is closed or reset. */
export interface TcpHandler {
  /** They may be looked at only during the call, unless they are of a buffer that nobody else reads into. */
  onBytes(bytes: Buffer): void;
  /** The other side will send no more. */
  onEnd(): void;
  /** All is gone after a `write` that was false. */
  onDrained(): void;
  /** It broke off, or what was told threw an exception. It is not closed yet. */
  onBroken(): void;
}

export interface TcpConnection {
  handler: TcpHandler;
  /** Undefined: gone already. */
  readonly remoteAddress: string | undefined;
  /** What is read into, where that can be chosen; another one counts when `onBytes` returns. */
  buffer: Buffer;
  /** Something written is not gone yet. */
  readonly pending: boolean;
  pause(): void;
  resume(): void;
  /** False: not all of it is gone; the bytes must not change until `onDrained`. */
  write(bytes: Buffer): boolean;
  /** No more will be written; what was is sent first. */
  end(): void;
  /** Gives it up; what was written is still sent. */
  close(): void;
  /** Gives it up so that the other side sees a break. */
  reset(): void;
  /** From then on a peer that vanished is noticed. */
  keepAlive(idleMs: number): void;
  /** The same connection as Node's own; this one is over. */
  toSocket(): Socket;
}

export interface TcpServer {
  readonly listening: boolean;
  /** Resolves to the bound address (port 0 becomes a real one). */
  listen(address: SocketAddress): Promise<SocketAddress>;
  /** Accepts no more. */
  close(): Promise<void>;
}

/** The handler of a connection that nobody listens to yet. */
export const UNHEARD: TcpHandler = {
  onBytes: () => undefined,
  onEnd: () => undefined,
  onDrained: () => undefined,
  onBroken: () => undefined,
};
