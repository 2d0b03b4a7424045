/**
 * The network between one agent and the registries, with a knife in it.
 *
 * In a network of our own it is an address that the registries answer at, and a filter that drops every
 * packet from and to it: old and new connections alike hear nothing. Elsewhere it is a proxy.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from '../src/mesh/address.ts';
import { closeServer, listen } from '../src/runtime/listen.ts';
import { inOwnNetwork, ip, nft } from './namespace.ts';

export interface Cuttable {
  /** Instead of the targets, in their order. */
  readonly addresses: readonly SocketAddress[];
  cut(): void;
  heal(): void;
  close(): Promise<void>;
}

const KNIFE_ADDRESS = '10.77.0.1';

export async function openCuttable(targets: readonly SocketAddress[]): Promise<Cuttable> {
  return inOwnNetwork() ? cutByFilter(targets) : cutByProxy(targets);
}

/** The targets listen on every address of this network. */
function cutByFilter(targets: readonly SocketAddress[]): Cuttable {
  ip('addr', 'add', `${KNIFE_ADDRESS}/32`, 'dev', 'lo');
  nft('add table inet knife; add chain inet knife in { type filter hook input priority 0; }');
  return {
    addresses: targets.map(({ port }) => ({ host: KNIFE_ADDRESS, port })),
    cut: () => {
      for (const side of ['saddr', 'daddr']) {
        nft(`add rule inet knife in ip ${side} ${KNIFE_ADDRESS} drop`);
      }
    },
    heal: () => nft('flush chain inet knife in'),
    close: () => Promise.resolve(),
  };
}

async function cutByProxy(targets: readonly SocketAddress[]): Promise<Cuttable> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const servers: Server[] = [];
  const addresses: SocketAddress[] = [];
  for (const target of targets) {
    const server = createServer(client => {
      if (isCut) {
        client.destroy();
        return;
      }
      const upstream = connect(target.port, target.host);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(socket);
        socket.pipe(other);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
      }
    });
    servers.push(server);
    addresses.push(await listen(server, { host: '127.0.0.1', port: 0 }));
  }
  return {
    addresses,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.pause();
    },
    heal: () => {
      isCut = false;
      // What stalled is as good as lost: neither end can know how far the other got.
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map(server => closeServer(server)));
    },
  };
}
