/** Requests by the clock through the caller's sidecar, for as long as the soak lasts. */

import { fileURLToPath } from 'node:url';
import type { LoadReport } from '../../src/cli/demo/load.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { type LoadProcess, startLoadProcess } from '../load-process.ts';

const MAIN = fileURLToPath(new URL('./load-main.js', import.meta.url));

export function startLoad(
  outbound: SocketAddress,
  url: string,
  perSecond: number,
): LoadProcess<LoadReport> {
  return startLoadProcess(MAIN, [formatAddress(outbound), url, String(perSecond)]);
}
