/** The connection to the application beside this sidecar, opened before a CONNECT is answered. */

import { connect } from 'node:net';
import type { SocketAddress } from '../../mesh/address.ts';
import { SocketChannel } from '../bytes/socket-channel.ts';
import { APPLICATION_CONNECT_TIMEOUT_MS } from '../limits.ts';

/** Calls back once, with undefined when the application does not accept in time. */
export function connectApplication(
  address: SocketAddress,
  onOutcome: (channel: SocketChannel | undefined) => void,
): void {
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
  const onFailure = (): void => {
    clearTimeout(deadline);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.destroy();
    onOutcome(undefined);
  };
  const deadline = setTimeout(onFailure, APPLICATION_CONNECT_TIMEOUT_MS);
  socket.once('error', onFailure);
  socket.once('connect', () => {
    clearTimeout(deadline);
    socket.off('error', onFailure);
    onOutcome(new SocketChannel(socket));
  });
}
