/**
 * Systems that are not under load stand still. A mesh is never quite idle (leases, probes, reports), and what
 * it does beside a peer that is being measured would be charged to that peer.
 */

import type { RunningSystem } from './systems/system.ts';

/** Lets every process of the system go on for as long as the work takes. */
export async function whileAwake<T>(system: RunningSystem, work: () => Promise<T>): Promise<T> {
  signalAll(system.all, 'SIGCONT');
  try {
    return await work();
  } finally {
    signalAll(system.all, 'SIGSTOP');
  }
}

export function signalAll(pids: Iterable<number>, signal: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended, which is for whoever needs it to find out.
    }
  }
}
