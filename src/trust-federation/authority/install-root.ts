/** An imported root as the first one of an authority, before its agent has ever run. */

import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import { ensurePrivateDir } from '../../runtime/state-file.ts';
import { firstState, JOURNAL_FILE, readAuthority, writeAuthority } from './authority-journal.ts';
import { holdingOf, type ImportedRoot } from './imported-root.ts';

/** Throws REQUEST_INVALID where there is an authority already; it takes a rollover to change that. */
export async function installRoot(
  dir: string,
  imported: ImportedRoot,
  nowMs: number,
): Promise<void> {
  await ensurePrivateDir(dir);
  if ((await readAuthority(dir)) !== undefined) {
    throw new MeshError(
      'REQUEST_INVALID',
      `"${join(dir, JOURNAL_FILE)}" exists: this authority has a root; start the agent and import without --agent-state-dir, which rolls over to the new one`,
    );
  }
  await writeAuthority(dir, firstState(holdingOf(imported), nowMs));
}
