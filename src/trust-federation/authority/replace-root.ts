/**
 * A new root for an authority whose own has expired, or is not to be used for another minute: a rollover
 * taken to "tainted" in one go, while the agent is stopped and nobody can be asked.
 *
 * The old root stays in the bundle as tainted, since its signature lets the other clusters accept the
 * bundle that names the new one. Everyone of this cluster has to be enrolled again.
 */

import { join } from 'node:path';
import { MeshError } from '../../mesh/errors.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { isUnderWay, nextRollover, type RolloverEvent } from '../../mesh/rollover.ts';
import {
  type AuthorityState,
  certificateId,
  JOURNAL_FILE,
  readAuthority,
  withPlan,
  writeAuthority,
} from './authority-journal.ts';
import { makeRoot } from './make-signer.ts';
import { bundleOf, saveRoots, TRUST_ROOT_FILE } from './root-file.ts';

export interface RootReplacement {
  readonly stateDir: string;
  readonly cluster: ClusterName;
  readonly reason: string;
  readonly now: () => number;
}

/** Throws FILE_UNREADABLE where there is no authority, and what `readAuthority` throws. */
export async function replaceRoot({
  stateDir,
  cluster,
  reason,
  now,
}: RootReplacement): Promise<AuthorityState> {
  const dir = join(stateDir, 'authority');
  const state = await readAuthority(dir);
  if (state === undefined) {
    throw new MeshError(
      'FILE_UNREADABLE',
      `"${join(dir, JOURNAL_FILE)}" does not exist; name the state directory of an agent that has run before`,
    );
  }
  const { trustDomain } = bundleOf(
    state.slots.map(({ certificate, intermediate }) => intermediate ?? certificate),
  );
  const signer = makeRoot({ name: cluster, trustDomain }, now());
  const root = certificateId(signer.certificate.der);
  const forced: RolloverEvent = {
    kind: 'advance',
    unproven: 'replaced while the agent was stopped',
    forceReason: reason,
  };
  // One under way is over: its new root may have expired with the old one.
  const rollover = isUnderWay(state.rollover) ? undefined : state.rollover;
  const events: RolloverEvent[] = [
    { kind: 'start', root, auto: false },
    ...Array.from({ length: 3 }, () => forced),
  ];
  const replaced = events.reduce<AuthorityState>(
    (at, event) => {
      const result = nextRollover(at, event, now());
      if (result.kind === 'refused') throw new MeshError('REQUEST_INVALID', result.message);
      return withPlan(at, result.plan, { ...signer, intermediate: undefined });
    },
    { ...state, rollover },
  );
  await writeAuthority(dir, replaced);
  const trusted = replaced.slots.filter(slot => slot.state !== 'revoked');
  await saveRoots(
    join(stateDir, TRUST_ROOT_FILE),
    bundleOf(
      trusted.map(({ certificate }) => certificate),
      trustDomain,
    ),
  );
  return replaced;
}
