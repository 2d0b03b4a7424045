/** Starts the load's process and fetches its counts. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';

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
  http: SocketAddress,
  streams: SocketAddress,
): { readonly stop: () => Promise<LoadReport> } {
  const child = spawn(process.execPath, [MAIN, formatAddress(http), formatAddress(streams)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return {
    stop: async () => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      await closed;
      process.off('exit', onExit);
      return JSON.parse(output) as LoadReport;
    },
  };
}
