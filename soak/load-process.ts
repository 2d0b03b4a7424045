/** A load runs in a process of its own, so that it is not measured with what else a soak does. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface LoadProcess<Report> {
  /** Ends the load; resolves to the JSON it printed. */
  stop(): Promise<Report>;
}

/** Runs `main ...args`, which sends until SIGTERM and then prints its report. It ends with this process. */
export function startLoadProcess<Report>(
  main: string,
  args: readonly string[],
): LoadProcess<Report> {
  const child = spawn(process.execPath, [main, ...args], {
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
      return JSON.parse(output) as Report;
    },
  };
}
