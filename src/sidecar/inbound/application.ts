/** The connection to the application beside this sidecar, opened before a CONNECT is answered. */

import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { APPLICATION_CONNECT_TIMEOUT_MS } from '../limits.ts';

/** Undefined when the application does not accept in time. */
export function connectApplication(address: SocketAddress): Promise<Socket | undefined> {
  return new Promise(resolve => {
    const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
    const finish = (outcome: Socket | undefined): void => {
      clearTimeout(deadline);
      resolve(outcome);
    };
    const onFailure = (): void => {
      socket.destroy();
      finish(undefined);
    };
    const deadline = setTimeout(onFailure, APPLICATION_CONNECT_TIMEOUT_MS);
    // Stays: the socket may fail before anyone else listens.
    socket.on('error', onFailure);
    socket.once('connect', () => finish(socket));
  });
}
