/** The connection to the application beside this sidecar, opened before a CONNECT is answered. */

import type { SocketAddress } from '../../mesh/address.ts';
import { connectChannel, type SocketChannel } from '../bytes/socket-channel.ts';
import { APPLICATION_CONNECT_TIMEOUT_MS } from '../limits.ts';

/** Calls back once, with undefined when the application does not accept in time. */
export function connectApplication(
  address: SocketAddress,
  onOutcome: (channel: SocketChannel | undefined) => void,
): void {
  const { socket, channel } = connectChannel(address);
  const onFailure = (): void => {
    clearTimeout(deadline);
    socket.off('error', onFailure);
    socket.off('connect', onConnect);
    channel.abort();
    onOutcome(undefined);
  };
  const onConnect = (): void => {
    clearTimeout(deadline);
    socket.off('error', onFailure);
    onOutcome(channel);
  };
  const deadline = setTimeout(onFailure, APPLICATION_CONNECT_TIMEOUT_MS);
  socket.once('error', onFailure);
  socket.once('connect', onConnect);
}
