/**
 * Step 3: checkout runs in both clusters. East serves its own until its checkout is killed; then west
 * does, and when east's is back they come home. Then the failures that say nothing (silence.ts).
 */

import { formatDuration } from '../../text.ts';
import { applicationName } from '../application.ts';
import { SteadyLoad } from '../load.ts';
import type { Narrator } from '../narrator.ts';
import { clustersetUrl, sidecarOf, type World } from '../world.ts';
import { tellSilence } from './silence.ts';

const REQUESTS_PER_SECOND = 200;
const MOVED_WITHIN_MS = 10_000;
const HOME_WITHIN_MS = 30_000;

export async function tellLocality(world: World, narrator: Narrator): Promise<void> {
  const web = sidecarOf(world, 'east/web');
  const home = sidecarOf(world, 'east/checkout');
  const app = applicationName(home);
  const load = new SteadyLoad(web.outboundHttp, clustersetUrl('checkout'), REQUESTS_PER_SECOND);
  try {
    const servedAtHome = await load.first(
      outcome => outcome.servedBy !== undefined,
      MOVED_WITHIN_MS,
    );
    await load.first(() => load.outcomes.length >= REQUESTS_PER_SECOND, MOVED_WITHIN_MS);
    const before = new Set(load.outcomes.map(outcome => outcome.servedBy));
    narrator.check(
      'before: east answers its own calls',
      servedAtHome !== undefined && before.size === 1 && before.has(home.workload),
      [...before].join(', '),
    );

    const killedMs = performance.now();
    await world.processes.kill(app);
    const goneMs = performance.now();
    narrator.say(`   killed ${home.workload} with SIGKILL under ${REQUESTS_PER_SECOND} requests/s`);
    const elsewhere = await load.first(
      o => o.doneMs > killedMs && o.servedBy !== undefined && o.servedBy !== home.workload,
      MOVED_WITHIN_MS,
    );
    const movedMs = elsewhere === undefined ? undefined : elsewhere.doneMs - killedMs;
    await load.first(
      () => load.outcomes.filter(o => o.sentMs > killedMs).length >= REQUESTS_PER_SECOND,
      MOVED_WITHIN_MS,
    );

    const restartedMs = performance.now();
    await world.processes.restart(app);
    narrator.say(`   started ${home.workload} again`);
    const back = await load.first(
      o => o.sentMs > restartedMs && o.servedBy === home.workload,
      HOME_WITHIN_MS,
    );
    const report = await load.stop();

    narrator.show(
      'sent / ok / failed',
      `${report.sent} / ${report.ok} / ${report.failed}`,
      'requests',
      report,
    );
    narrator.show(
      'served by',
      Object.entries(report.servedBy)
        .map(([who, n]) => `${who} ${n}`)
        .join(', '),
      'servedBy',
      report.servedBy,
    );
    narrator.show(
      'kill to first west answer',
      movedMs === undefined ? 'never' : `${movedMs.toFixed(0)} ms`,
      'movedMs',
      movedMs === undefined ? null : Math.round(movedMs),
    );
    narrator.show(
      'restart to first at home',
      back === undefined ? 'never' : formatDuration(back.doneMs - restartedMs),
      'returnMs',
      back === undefined ? null : Math.round(back.doneMs - restartedMs),
    );
    narrator.check(
      'after the kill west answers',
      elsewhere?.servedBy === 'checkout-west-0' || elsewhere?.servedBy === 'checkout-eu-0',
      elsewhere?.servedBy ?? 'nobody',
    );
    const failedLater = load.outcomes.filter(o => o.failure !== undefined && o.sentMs > goneMs);
    narrator.check(
      'every request sent after its death was answered; only those it held could fail',
      failedLater.length === 0,
      `${report.failed} of ${report.sent} failed, ${failedLater.length} of them sent later`,
    );
    narrator.check(
      'after the restart they come home',
      back !== undefined,
      back?.servedBy ?? 'still elsewhere',
    );
  } finally {
    await load.stop();
  }
  await tellSilence(world, narrator);
}
