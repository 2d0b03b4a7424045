/**
 * Keeps two processes off one directory: a file naming the process that holds it.
 *
 * A holder is known by pid and start time, so neither a reused pid nor a container's eternal pid 1
 * passes for the process that died. The lock of a dead process is taken over. Not meant for directories
 * that several machines mount.
 */

import { readFileSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';

export interface DirectoryLock {
  release(): Promise<void>;
}

/** Throws STATE_LOCKED. */
export async function lockDirectory(dir: string): Promise<DirectoryLock> {
  const path = join(dir, 'lock');
  const release = { release: () => rm(path, { force: true }) };
  if (await create(path)) return release;
  const holder = await readFile(path, 'utf8').catch(() => '');
  const [pid = ''] = holder.split(' ');
  if (holder !== '' && holder === describeProcess(pid)) {
    throw new MeshError(
      'STATE_LOCKED',
      `directory "${dir}" is in use by process "${pid}"; stop it or choose another state directory`,
      { details: { dir, pid } },
    );
  }
  await rm(path, { force: true });
  if (await create(path)) return release;
  throw new MeshError(
    'STATE_LOCKED',
    `directory "${dir}" was taken by a process starting just now`,
  );
}

async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(describeProcess(String(process.pid)) ?? '');
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** `<pid> <start time>`, or undefined when there is no such process. */
function describeProcess(pid: string): string | undefined {
  if (!/^[1-9][0-9]*$/.test(pid)) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  return `${pid} ${startTime(pid)}`;
}

/** Field 22 of proc(5) stat; systems without /proc tell processes apart by pid alone. */
function startTime(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
