/** Starts the load's processes and fetches their counts. */

import { fileURLToPath } from 'node:url';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { type LoadProcess, startLoadProcess } from '../load-process.ts';

export interface LoadReport {
  /** Requests, and messages on streams. */
  readonly sent: number;
  /** Not answered with 200 within 5 s; streams that broke. */
  readonly failed: number;
  /** Answered by somebody else, or about something else. */
  readonly wrong: number;
  readonly p99Us: number;
  readonly failures: Readonly<Record<string, number>>;
}

const MAIN = fileURLToPath(new URL('./load-main.js', import.meta.url));

export function startLoad(
  perSecond: number,
  http: SocketAddress,
  streams?: SocketAddress,
): LoadProcess<LoadReport> {
  const addresses = streams === undefined ? [http] : [http, streams];
  return startLoadProcess(MAIN, [String(perSecond), ...addresses.map(formatAddress)]);
}
