/**
 * A network of our own: the whole bench runs again inside a new network namespace, where dropping packets
 * concerns nobody else and goes away with the last process. Without the right to make one, the faults
 * that need no packet filter are measured on the loopback there is.
 */

import { spawn, spawnSync } from 'node:child_process';

const INSIDE = 'ISTHMUS_BENCH_NAMESPACE';

export function isInside(): boolean {
  return process.env[INSIDE] !== undefined;
}

export function canMakeNamespace(): boolean {
  return spawnSync('unshare', ['--net', 'nft', 'list', 'tables']).status === 0;
}

/** This program again, inside; resolves with its exit code. */
export function runInside(signal: AbortSignal): Promise<number> {
  const script = 'ip link set lo up && exec "$0" "$@"';
  const child = spawn(
    'unshare',
    ['--net', 'sh', '-c', script, process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } },
  );
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  return new Promise(resolve => child.once('exit', code => resolve(code ?? 1)));
}

export type Loss =
  /** Nothing passes. */
  | 'both-ways'
  /** What callers send arrives; nothing comes back. */
  | 'answers';

/** Drops packets of these ports until `heal`. */
export function dropPackets(ports: readonly number[], loss: Loss): void {
  nft('add table inet faults');
  nft('add chain inet faults out { type filter hook output priority 0 ; }');
  const list = `{ ${ports.join(', ')} }`;
  nft(`add rule inet faults out tcp sport ${list} drop`);
  if (loss === 'both-ways') nft(`add rule inet faults out tcp dport ${list} drop`);
}

export function heal(): void {
  nft('delete table inet faults');
}

function nft(command: string): void {
  const { status, stderr } = spawnSync('nft', [command], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`nft ${command}: ${stderr}`);
}
