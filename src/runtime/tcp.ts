/** TCP servers and connections by the best way there is here; see tcp-connection.ts. */

import { isIP } from 'node:net';
import type { SocketAddress } from '../mesh/address.ts';
import { tcpHandles } from './tcp-binding.ts';
import type { TcpConnection, TcpServer } from './tcp-connection.ts';
import { dialHandle, HandleServer } from './tcp-handles.ts';
import { dialPublic, PublicServer } from './tcp-public.ts';

/** `onConnection` gives each connection its handler before it returns. */
export function createTcpServer(
  buffer: Buffer,
  onConnection: (connection: TcpConnection) => void,
): TcpServer {
  return tcpHandles === undefined
    ? new PublicServer(buffer, onConnection)
    : new HandleServer(tcpHandles, buffer, onConnection);
}

/**
 * `onOutcome` is called once and later: true when the other side has accepted, and then its handler is due;
 * false when it has not, and the connection is to be closed. Not called after `close` or `reset`.
 */
export function dial(
  address: SocketAddress,
  buffer: Buffer,
  onOutcome: (isConnected: boolean) => void,
): TcpConnection {
  // A name needs Node's own resolver.
  return tcpHandles === undefined || isIP(address.host) === 0
    ? dialPublic(address, buffer, onOutcome)
    : dialHandle(tcpHandles, address, buffer, onOutcome);
}
