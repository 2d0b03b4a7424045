/** A TCP proxy that cuts connections after a number of bytes from the server, or all of them at once. */

import { connect, createServer, type Socket } from 'node:net';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { closeServer, listen } from '../../src/runtime/listen.ts';

export interface FaultProxy {
  readonly address: SocketAddress;
  readonly cuts: number;
  /** Cuts each of the next connections once it has carried so many bytes from the server. */
  cutAfter(bytes: readonly number[]): void;
  cutNow(): void;
  /** While closed, new connections are refused by closing them. */
  open: boolean;
  stop(): Promise<void>;
}

export async function startFaultProxy(target: SocketAddress): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  let budgets: number[] = [];
  let cuts = 0;
  let open = true;
  const server = createServer(client => {
    const upstream = connect(target.port, target.host);
    let left = budgets.shift() ?? Number.POSITIVE_INFINITY;
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    if (!open) {
      cut();
      return;
    }
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, Math.max(0, left)));
      left -= chunk.length;
      if (left > 0) return;
      cuts += 1;
      cut();
    });
  });
  const address = await listen(server, { host: '127.0.0.1', port: 0 });
  const cutNow = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address,
    get cuts() {
      return cuts;
    },
    get open() {
      return open;
    },
    set open(value) {
      open = value;
    },
    cutAfter: bytes => {
      budgets = [...bytes];
    },
    cutNow,
    stop: async () => {
      cutNow();
      await closeServer(server);
    },
  };
}
