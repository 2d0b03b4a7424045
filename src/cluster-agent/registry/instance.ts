/**
 * The name of this agent process, and of those that ran from the same state directory before it.
 *
 * Two live agents of one cluster would undo each other's records, so the registry keeps to the one it
 * knows. One that comes after it in the same directory is its successor and takes over at once; a copy of
 * the directory on another machine is not, because it lacks the newest name (docs/decisions/0040).
 */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { isMeshError } from '../../mesh/errors.ts';
import { readStateFile, writeStateFile } from '../../runtime/state-file.ts';

export interface AgentInstance {
  readonly name: string;
  /** Newest first. */
  readonly previous: readonly string[];
}

/** A process that dies before the registry has heard of it leaves a name that nobody knows. */
const PREVIOUS_MAX = 8;

/** Names this process, on disk before it is used. A damaged file only means waiting for the old lease. */
export async function nextInstance(stateDir: string): Promise<AgentInstance> {
  const path = join(stateDir, 'instances');
  const content = await readStateFile(path).catch((error: unknown) => {
    if (isMeshError(error, 'FILE_CORRUPT')) return undefined;
    throw error;
  });
  const previous = (content?.toString().split('\n') ?? []).filter(line => line !== '');
  const name = randomUUID();
  const names = [name, ...previous].slice(0, PREVIOUS_MAX + 1);
  await writeStateFile(path, Buffer.from(names.join('\n')));
  return { name, previous: names.slice(1) };
}
