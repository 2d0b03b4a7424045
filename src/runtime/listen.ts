/** Binding and closing server sockets, with errors that say which address and what to do. */

import { createServer, type Server } from 'node:net';
import { formatAddress, type SocketAddress } from '../mesh/address.ts';
import { MeshError } from '../mesh/errors.ts';

/** Connections the kernel holds until they are accepted. */
export const BACKLOG = 1024;

/** Resolves to the bound address (port 0 becomes a real one). */
export function listen(server: Server, address: SocketAddress): Promise<SocketAddress> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(bindError(error, address));
    server.once('error', onError);
    server.listen({ host: address.host, port: address.port, backlog: BACKLOG }, () => {
      server.off('error', onError);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') throw new Error('not a TCP server');
      resolve({ host: bound.address, port: bound.port });
    });
  });
}

/** Stops accepting; resolves when the last connection is gone. */
export function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    if (!server.listening) {
      resolve();
      return;
    }
    server.close(() => resolve());
  });
}

/**
 * An address that is free now, for a program that must be told its port. Below the ephemeral range
 * (32768 on Linux), so that no outgoing connection takes it in the meantime.
 */
export async function findFreeAddress(host: string): Promise<SocketAddress> {
  for (let attempt = 0; ; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer();
    try {
      const bound = await listen(server, { host, port });
      await closeServer(server);
      return bound;
    } catch (error) {
      if (attempt >= FREE_ADDRESS_ATTEMPTS) throw error;
    }
  }
}
const FREE_ADDRESS_ATTEMPTS = 50;

export function bindError(error: NodeJS.ErrnoException, address: SocketAddress): MeshError {
  const where = `"${formatAddress(address)}"`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new MeshError(
        'ADDRESS_IN_USE',
        `address ${where} is taken by another process; stop it (ss -ltnp shows which) or configure another port`,
        { cause: error },
      );
    case 'EACCES':
      return new MeshError(
        'ADDRESS_UNAVAILABLE',
        `address ${where} needs privileges; use a port above 1023`,
        {
          cause: error,
        },
      );
    default:
      return new MeshError(
        'ADDRESS_UNAVAILABLE',
        `address ${where} cannot be bound (${error.code ?? error.message}); use an address of this machine`,
        { cause: error },
      );
  }
}
