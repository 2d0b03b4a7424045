/** Requests by the clock through the caller's sidecar, for as long as the soak lasts. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadReport } from '../../src/cli/demo/load.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';

const MAIN = fileURLToPath(new URL('./load-main.js', import.meta.url));

export interface RunningLoad {
  stop(): Promise<LoadReport>;
}

export function startLoad(outbound: SocketAddress, url: string, perSecond: number): RunningLoad {
  const child = spawn(process.execPath, [MAIN, formatAddress(outbound), url, String(perSecond)], {
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
