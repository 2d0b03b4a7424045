/**
 * A TCP port in front of something, which a test opens, shuts and holds. Always the same address, so that
 * what is behind it can go and come back as far as its callers see.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';

export type DoorState =
  | 'open'
  /** Connections are refused, and those there were are cut. */
  | 'shut'
  /** Connections are accepted, and not a byte passes, also of those there were. */
  | 'held';

export class Door {
  readonly #behind: () => SocketAddress;
  readonly #sockets = new Set<Socket>();
  #server: Server;
  #address: SocketAddress | undefined;
  #state: DoorState = 'shut';
  /** Connections that were accepted. */
  accepted = 0;

  constructor(behind: () => SocketAddress) {
    this.#behind = behind;
    this.#server = this.#newServer();
  }

  get address(): SocketAddress {
    if (this.#address === undefined) throw new Error('the door was never opened');
    return this.#address;
  }

  async set(state: DoorState): Promise<this> {
    const before = this.#state;
    this.#state = state;
    if (before === 'shut' && state !== 'shut') {
      this.#address = await listen(this.#server, this.#address ?? { host: '127.0.0.1', port: 0 });
    }
    if (state === 'shut' && before !== 'shut') {
      const closed = closeServer(this.#server);
      for (const socket of this.#sockets) socket.resetAndDestroy();
      await closed;
      this.#server = this.#newServer();
    }
    for (const socket of this.#sockets) {
      if (state === 'held') socket.pause();
      else socket.resume();
    }
    return this;
  }

  #newServer(): Server {
    return createServer({ allowHalfOpen: true }, inner => {
      this.accepted++;
      const outer = connect({ ...this.#behind(), allowHalfOpen: true });
      this.#join(inner, outer);
      this.#join(outer, inner);
    });
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', bytes => to.write(bytes));
    if (this.#state === 'held') from.pause();
    from.on('end', () => to.end());
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
