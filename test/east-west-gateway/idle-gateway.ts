/**
 * A program: a gateway on its own limits, in a process of its own because each connection takes two
 * descriptors here and two at its ends. Told an endpoint's address it answers with its own; told
 * "count" it answers with how many connections it holds.
 */

import type { SocketAddress } from '../../src/mesh/address.ts';
import { startGateway, type TestGateway } from './gateway-fixture.ts';

let gateway: TestGateway | undefined;

process.on('message', (message: SocketAddress | 'count') => void answer(message));

async function answer(message: SocketAddress | 'count'): Promise<void> {
  if (message === 'count') {
    process.send?.(gateway?.open());
    return;
  }
  gateway = await startGateway(message);
  process.send?.(gateway.address);
}
