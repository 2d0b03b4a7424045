/**
 * `isthmus enrol`: what a proxy needs for its first start, put into its state directory. A one-time
 * token says who it is; its cluster's root lets it recognise the agent it redeems the token with.
 *
 * Authority comes from the file system: whoever can write the agent's state directory can admit.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createJoinToken } from '../cluster-agent/client.ts';
import { MeshError } from '../mesh/errors.ts';
import { type SpiffeId, trustDomainOf } from '../mesh/spiffe-id.ts';
import { ensurePrivateDir, writePrivateFile } from '../runtime/state-file.ts';
import { loadRoots, saveRoots, TRUST_ROOT_FILE } from '../trust-federation/authority/root-file.ts';

export interface Enrolment {
  readonly id: SpiffeId;
  readonly agentStateDir: string;
  readonly stateDir: string;
}

const JOIN_TOKEN_TTL_MS = 10 * 60_000;

/** Throws FILE_UNREADABLE before the agent's first start, which makes its root. */
export async function enrolProxy({ id, agentStateDir, stateDir }: Enrolment): Promise<void> {
  const path = join(agentStateDir, TRUST_ROOT_FILE);
  if (!existsSync(path)) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${path}" does not exist; start the agent once, which makes it`,
    );
  }
  const roots = await loadRoots(path, trustDomainOf(id));
  const token = await createJoinToken({
    agentStateDir,
    id,
    ttlMs: JOIN_TOKEN_TTL_MS,
    now: Date.now,
  });
  await ensurePrivateDir(stateDir);
  await writePrivateFile(join(stateDir, 'join-token'), token);
  await saveRoots(join(stateDir, TRUST_ROOT_FILE), roots);
}
