/**
 * A network of the soak's own, where we are root: its faults then touch nothing else on the machine, and
 * it goes away with the last process in it, however that ends.
 */

import { spawn, spawnSync } from 'node:child_process';

const INSIDE = 'ISTHMUS_SOAK_NETWORK';

/** Whether addresses can be given and taken here without disturbing anybody. */
export function inOwnNetwork(): boolean {
  return process.env[INSIDE] === 'own';
}

/**
 * Runs this program again in a network namespace and resolves to its exit code; undefined when it runs
 * there already, or cannot: without root, unshare(1) or nft(8) the faults are made by proxies instead.
 */
export async function runInOwnNetwork(): Promise<number | undefined> {
  if (inOwnNetwork()) {
    ip('link', 'set', 'lo', 'up');
    return undefined;
  }
  if (process.getuid?.() !== 0) return undefined;
  if (spawnSync('unshare', ['--net', 'nft', 'list', 'tables']).status !== 0) return undefined;
  const child = spawn('unshare', ['--net', '--', process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: 'own' },
  });
  // Ctrl-C reaches the whole group; a SIGTERM only us.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', code => resolve(code ?? 1));
  });
}

export function ip(...args: readonly string[]): void {
  run('ip', args);
}

export function nft(command: string): void {
  run('nft', [command]);
}

/** Throws with what it said. */
function run(tool: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(tool, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')}: ${stderr.trim()}`);
}
