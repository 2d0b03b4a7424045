/**
 * `npm run soak -- rotation`: certificates of 20 seconds, intermediates and two roots replaced under a
 * thousand requests a second and streams that never close; then an identity and a cluster are revoked.
 * Nothing may fail but what was revoked, and nothing may be wrong.
 */

import { sleep } from '../../src/runtime/supervise.ts';
import type { Say, SoakOptions } from '../soak.ts';
import { rotateIntermediate } from './agents.ts';
import { type Bed, startBed } from './bed.ts';
import { RotationCounter } from './certificates.ts';
import { CUT_OFF, SVID_TTL } from './configuration.ts';
import { type LoadReport, startLoad } from './load.ts';
import { CLUSTER, IDENTITY, revoke } from './revocation.ts';
import { AGENT_KILLED, PARTITION, rollOver } from './rollover.ts';

/** Leaf rotation alone; the rest comes after it. */
const LEAVES_MS = 600_000;
const LEAVES_QUICK_MS = 60_000;
const SETTLE_MS = 15_000;
/** Of web, and of the cluster that is cut off for a while and revoked at last. */
const PER_SECOND = 950;
const PER_SECOND_CUT_OFF = 50;

export async function rotationSoak(options: SoakOptions, signal: AbortSignal): Promise<boolean> {
  const say: Say = line => void process.stdout.write(`${line}\n`);
  const bed = await startBed();
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  try {
    const counter = new RotationCounter(bed.proxies);
    const counting = counter.run(either);
    const load = startLoad(PER_SECOND, bed.http, bed.streams);
    const loadOfCutOff = startLoad(PER_SECOND_CUT_OFF, bed.cutOffHttp);
    say(`three clusters, ${bed.proxies.length} proxies, certificates of ${SVID_TTL}`);
    const problems = await rotate(bed, options.quick ? LEAVES_QUICK_MS : LEAVES_MS, say, either);
    const identity = await revoke(bed, IDENTITY, say);
    const reportOfCutOff = await loadOfCutOff.stop();
    const cluster = await revoke(bed, CLUSTER, say);
    const report = sum(await load.stop(), reportOfCutOff);
    done.abort();
    await counting;
    problems.push(...identity.problems, ...cluster.problems);
    const held = verdict(report, counter.rotations, problems, say) && !signal.aborted;
    if (options.json) {
      const { sent, failed, wrong, p99Us } = report;
      const figures = {
        ...{ sent, failed, wrong, rotations: counter.rotations, p99Us },
        revokedRefusedMs: Math.max(identity.refusedMs, cluster.refusedMs),
        revokedClosedMs: Math.max(identity.closedMs, cluster.closedMs),
      };
      process.stdout.write(`${JSON.stringify(figures)}\n`);
    }
    return held;
  } finally {
    done.abort();
    await bed.close();
  }
}

/** Resolves to what did not go as it should. */
async function rotate(
  bed: Bed,
  leavesMs: number,
  say: Say,
  signal: AbortSignal,
): Promise<string[]> {
  say(`certificates rotate for ${leavesMs / 1000} s`);
  await sleep(leavesMs, signal);
  const problems: string[] = [];
  for (const [cluster, trouble] of [
    ['west', PARTITION],
    ['east', AGENT_KILLED],
  ] as const) {
    if (signal.aborted) return problems;
    const proxies = await rotateIntermediate(bed, cluster);
    say(`${cluster}: a new intermediate, ${proxies} proxies renew`);
    await sleep(SETTLE_MS, signal);
    problems.push(...(await rollOver(bed, cluster, trouble, say, signal)));
    await sleep(SETTLE_MS, signal);
  }
  return problems;
}

/** The latencies are those of the larger load. */
function sum(main: LoadReport, other: LoadReport): LoadReport {
  const failures = { ...main.failures };
  for (const [why, count] of Object.entries(other.failures)) {
    failures[`${CUT_OFF}: ${why}`] = count;
  }
  return {
    sent: main.sent + other.sent,
    failed: main.failed + other.failed,
    wrong: main.wrong + other.wrong,
    p99Us: main.p99Us,
    failures,
  };
}

function verdict(
  { sent, failed, wrong, p99Us, failures }: LoadReport,
  rotations: number,
  problems: readonly string[],
  say: Say,
): boolean {
  say(`requests and messages: ${sent} sent, ${failed} failed, ${wrong} wrong, p99 ${p99Us} µs`);
  if (failed > 0) say(`failures: ${JSON.stringify(failures)}`);
  say(`certificates replaced: ${rotations}`);
  for (const problem of problems) say(`not as it should: ${problem}`);
  return sent > 0 && failed === 0 && wrong === 0 && rotations > 0 && problems.length === 0;
}
