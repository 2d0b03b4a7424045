/**
 * Step 4: registry and every agent are killed. The data plane never asks them anything while a request
 * waits, so calls go on; what is lost is news, and `isthmus status` says since when.
 */

import { sleep } from '../../../runtime/supervise.ts';
import { formatStatus, gatherStatus, type StatusReport } from '../../status.ts';
import { formatDuration } from '../../text.ts';
import { SteadyLoad } from '../load.ts';
import type { Narrator } from '../narrator.ts';
import { clustersetUrl, sidecarOf, type World } from '../world.ts';

const REQUESTS_PER_SECOND = 100;
const OUTAGE_MS = 3_000;
const CURRENT_WITHIN_MS = 20_000;
const POLL_MS = 100;

export async function tellControlPlaneLoss(world: World, narrator: Narrator): Promise<void> {
  const web = sidecarOf(world, 'east/web');
  const victims = ['registry', ...world.fleet.clusters.map(cluster => cluster.agent.name)];
  const load = new SteadyLoad(web.outboundHttp, clustersetUrl('payments'), REQUESTS_PER_SECOND);
  try {
    await load.first(outcome => outcome.failure === undefined, CURRENT_WITHIN_MS);
    const killedMs = Date.now();
    await Promise.all(victims.map(name => world.processes.kill(name)));
    narrator.say(`   killed ${victims.join(', ')}; calls go on for ${formatDuration(OUTAGE_MS)}`);
    await sleep(OUTAGE_MS);
    const during = await gatherStatus(world.fleet, Date.now());
    narrator.say(`   isthmus status says:\n`);
    narrator.say(
      formatStatus(during)
        .trimEnd()
        .replaceAll(/^(?=.)/gm, '     '),
    );
    narrator.say();
    const stale = during.clusters.filter(cluster => cluster.state.kind === 'stale');
    const sinces = stale.flatMap(cluster =>
      cluster.state.kind === 'stale' ? [cluster.state.sinceMs] : [],
    );
    narrator.check(
      'status says what is stale and since when',
      stale.length === world.fleet.clusters.length &&
        sinces.every(since => since >= killedMs - 1000),
      stale
        .map(
          cluster =>
            `${cluster.name} for ${formatDuration(during.observedAtMs - (cluster.state.kind === 'stale' ? cluster.state.sinceMs : 0))}`,
        )
        .join(', '),
    );

    const restartedMs = performance.now();
    await world.processes.restart(...victims);
    const after = await becomesCurrent(world);
    const currentMs = performance.now() - restartedMs;
    const report = await load.stop();
    narrator.show(
      'sent / ok / failed',
      `${report.sent} / ${report.ok} / ${report.failed}`,
      'requests',
      report,
    );
    narrator.show(
      'start to all current',
      after.current ? formatDuration(currentMs) : 'never',
      'currentMs',
      after.current ? Math.round(currentMs) : null,
    );
    narrator.check(
      'no call failed meanwhile',
      report.sent > 0 && report.failed === 0,
      `${report.ok} of ${report.sent} answered`,
    );
    narrator.check(
      'started again, everything is current',
      after.current,
      after.current ? `after ${formatDuration(currentMs)}` : describeStale(after),
    );
  } finally {
    await load.stop();
  }
}

async function becomesCurrent(world: World): Promise<StatusReport> {
  const deadline = performance.now() + CURRENT_WITHIN_MS;
  for (;;) {
    const report = await gatherStatus(world.fleet, Date.now());
    if (report.current || performance.now() > deadline) return report;
    await sleep(POLL_MS);
  }
}

function describeStale(report: StatusReport): string {
  return [...report.clusters, ...report.proxies]
    .filter(item => item.state.kind !== 'current')
    .map(item => `${item.name} ${item.state.kind}`)
    .join(', ');
}
