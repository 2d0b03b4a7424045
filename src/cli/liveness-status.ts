/** How each agent judges each other cluster, and by what evidence (docs/liveness.md). */

import type { Freshness } from '../mesh/cluster.ts';
import type { Verdict } from '../mesh/liveness.ts';
import { isAnswering, type PathEvidence } from '../mesh/path.ts';
import { askAdminBody } from './admin-client.ts';
import type { ClusterFleet } from './fleet.ts';
import { formatClock, formatDuration, type Style, style, table } from './text.ts';

export interface LivenessStatus {
  readonly observer: string;
  readonly cluster: string;
  readonly verdict: Verdict['kind'];
  readonly sinceMs: number;
  /** R, as `live` or why not. */
  readonly lease: string;
  /** D: how many of the paths that are probed answer. */
  readonly pathsAnswering: number;
  readonly pathsProbed: number;
  /** Services whose withdrawal is held back. */
  readonly heldWithdrawals: number;
}

interface LivenessAnswer {
  readonly cluster: string;
  readonly verdict?: Verdict;
  readonly signals: { readonly lease?: Freshness };
  readonly heldWithdrawals: readonly unknown[];
  readonly observers: readonly PathEvidence[];
}

/** Empty when the agent does not answer. */
export async function gatherLiveness(fleet: ClusterFleet): Promise<readonly LivenessStatus[]> {
  const answers = await askAdminBody<LivenessAnswer[]>(fleet.agent.admin, '/debug/liveness');
  return (answers ?? []).flatMap(({ cluster, verdict, signals, heldWithdrawals, observers }) => {
    if (verdict === undefined) return [];
    const { lease } = signals;
    return [
      {
        observer: fleet.name,
        cluster,
        verdict: verdict.kind,
        sinceMs: verdict.sinceMs,
        lease: lease === undefined || lease.kind === 'live' ? 'live' : lease.reason,
        pathsAnswering: observers.filter(({ state }) => isAnswering(state)).length,
        pathsProbed: observers.length,
        heldWithdrawals: heldWithdrawals.length,
      },
    ];
  });
}

export function formatLiveness(rows: readonly LivenessStatus[], nowMs: number): string {
  return table(
    ['SEEN FROM', 'CLUSTER', 'VERDICT', 'SINCE', 'LEASE', 'PATHS ANSWERING'],
    rows.map(row => [
      row.observer,
      row.cluster,
      style(
        row.heldWithdrawals === 0
          ? row.verdict
          : `${row.verdict}, ${row.heldWithdrawals} withdrawals held`,
        VERDICT_STYLE[row.verdict],
      ),
      `${formatClock(row.sinceMs)} (${formatDuration(nowMs - row.sinceMs)})`,
      row.lease,
      `${row.pathsAnswering} of ${row.pathsProbed}`,
    ]),
  );
}

const VERDICT_STYLE: Record<Verdict['kind'], Style> = {
  serving: 'green',
  stale: 'yellow',
  unreachable: 'red',
  failing: 'red',
  dead: 'red',
  recovering: 'yellow',
};
