/** A caller's connection joined to the endpoint's sidecar: the hello replayed, then bytes both ways. */

import { connect, type Socket } from 'node:net';
import type { SocketAddress } from '../mesh/address.ts';
import { ENDPOINT_CONNECT_TIMEOUT_MS, KEEP_ALIVE_MS } from './limits.ts';
import { relay } from './relay.ts';

export type Direction = 'to-endpoint' | 'to-caller';

/** Undefined when the endpoint does not accept in time. */
export function connectEndpoint(address: SocketAddress): Promise<Socket | undefined> {
  return new Promise(resolve => {
    const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
    const finish = (outcome: Socket | undefined): void => {
      clearTimeout(deadline);
      socket.off('error', onFailure);
      resolve(outcome);
    };
    const onFailure = (): void => {
      socket.destroy();
      finish(undefined);
    };
    const deadline = setTimeout(onFailure, ENDPOINT_CONNECT_TIMEOUT_MS);
    socket.once('error', onFailure);
    socket.once('connect', () => {
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      finish(socket);
    });
  });
}

/** Resolves when both connections are gone. */
export async function splice(
  caller: Socket,
  endpoint: Socket,
  hello: Buffer,
  onBytes: (direction: Direction, bytes: Buffer) => void,
): Promise<void> {
  onBytes('to-endpoint', hello);
  endpoint.write(hello);
  await relay(caller, endpoint, (from, bytes) =>
    onBytes(from === 'a' ? 'to-endpoint' : 'to-caller', bytes),
  );
}
