/** The connection to the application beside this sidecar, opened before a CONNECT is answered. */

import type { SocketAddress } from '../../mesh/address.ts';
import { contain } from '../../runtime/faults.ts';
import { connectChannel, type SocketChannel } from '../bytes/socket-channel.ts';
import { APPLICATION_CONNECT_TIMEOUT_MS } from '../limits.ts';

/**
 * Calls back once, with undefined when the application does not accept in time. `cut` ends what the
 * connection was for, after a fault.
 */
export function connectApplication(
  address: SocketAddress,
  onOutcome: (channel: SocketChannel | undefined) => void,
  cut: () => void,
): void {
  const { socket, channel } = connectChannel(address);
  const onFailure = (): void => {
    clearTimeout(deadline);
    socket.off('error', onFailure);
    socket.off('connect', onConnect);
    channel.abort();
    contain(() => onOutcome(undefined), cut);
  };
  const onConnect = (): void => {
    clearTimeout(deadline);
    socket.off('error', onFailure);
    contain(
      () => onOutcome(channel),
      () => {
        channel.abort();
        cut();
      },
    );
  };
  const deadline = setTimeout(onFailure, APPLICATION_CONNECT_TIMEOUT_MS);
  socket.once('error', onFailure);
  socket.once('connect', onConnect);
}
