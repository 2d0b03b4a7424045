/**
 * `npm run soak -- rotation`: certificates of 20 seconds, intermediates and two roots replaced under a
 * thousand requests a second and streams that never close; nothing may fail, nothing may be wrong. In the
 * second rollover the agent that runs it is killed at each step.
 */

import { agentOf, operatorChannel } from '../../src/cli/operator.ts';
import type { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverProgress } from '../../src/wire/generated/isthmus/operator/v1/rollover.ts';
import type { SoakOptions } from '../soak.ts';
import { type Bed, startBed } from './bed.ts';
import { holdersOf, RotationCounter } from './certificates.ts';
import { SVID_TTL } from './configuration.ts';
import { type LoadReport, startLoad } from './load.ts';

const { methods } = AgentOperatorDefinition;

/** Leaf rotation alone; the rest comes after it. */
const LEAVES_MS = 600_000;
const LEAVES_QUICK_MS = 60_000;
const SETTLE_MS = 15_000;
const STEP_WITHIN_MS = 90_000;
/** From the old root's revocation until nobody has it. */
const FORGOTTEN_WITHIN_MS = 5_000;

type Say = (line: string) => void;

export async function rotationSoak(options: SoakOptions, signal: AbortSignal): Promise<boolean> {
  const say: Say = line => void process.stdout.write(`${line}\n`);
  const bed = await startBed();
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  try {
    const counter = new RotationCounter(bed.proxies);
    const counting = counter.run(either);
    const load = startLoad(bed.http, bed.streams);
    say(`three clusters, ${bed.proxies.length} proxies, certificates of ${SVID_TTL}`);
    const problems = await play(bed, options.quick ? LEAVES_QUICK_MS : LEAVES_MS, say, either);
    const report = await load.stop();
    done.abort();
    await counting;
    const held = verdict(report, counter.rotations, problems, say) && !signal.aborted;
    const { sent, failed, wrong, p99Us } = report;
    if (options.json) {
      const figures = { sent, failed, wrong, rotations: counter.rotations, p99Us };
      process.stdout.write(`${JSON.stringify(figures)}\n`);
    }
    return held;
  } finally {
    done.abort();
    await bed.close();
  }
}

/** Resolves to what did not go as it should. */
async function play(bed: Bed, leavesMs: number, say: Say, signal: AbortSignal): Promise<string[]> {
  say(`certificates rotate for ${leavesMs / 1000} s`);
  await sleep(leavesMs, signal);
  const problems: string[] = [];
  for (const [cluster, killed] of [
    ['west', false],
    ['east', true],
  ] as const) {
    if (signal.aborted) return problems;
    const proxies = await rotateIntermediate(bed, cluster);
    say(`${cluster}: a new intermediate, ${proxies} proxies renew`);
    await sleep(SETTLE_MS, signal);
    problems.push(...(await rollOver(bed, cluster, killed, say, signal)));
    await sleep(SETTLE_MS, signal);
  }
  return problems;
}

async function rotateIntermediate(bed: Bed, cluster: string): Promise<number> {
  return withAgent(bed, cluster, async (channel, call) => {
    const { proxies } = await channel.unary(methods.rotateIntermediate, {}, call);
    return proxies;
  });
}

async function rollOver(
  bed: Bed,
  cluster: string,
  killed: boolean,
  say: Say,
  signal: AbortSignal,
): Promise<string[]> {
  say(`${cluster}: a new root${killed ? ', its agent killed at each step' : ''}`);
  await withAgent(bed, cluster, (channel, call) =>
    channel.unary(methods.startRollover, { auto: true }, call),
  );
  let shown = '';
  const survived = new Set<string>();
  const deadline = performance.now() + STEP_WITHIN_MS;
  while (!signal.aborted && performance.now() < deadline) {
    const progress = await progressOf(bed, cluster);
    const line = describe(progress);
    if (line !== shown) say(`   ${line}`);
    shown = line;
    if (killed && !survived.has(progress.step)) {
      survived.add(progress.step);
      const { name } = agentOf(bed.fleet, cluster);
      await bed.processes.kill(name);
      await bed.processes.restart(name);
      continue;
    }
    if (progress.step === 'revoked') return forgotten(bed, progress.from, say, signal);
    await sleep(100, signal);
  }
  return [`${cluster}: the rollover stopped at: ${shown}`];
}

async function forgotten(bed: Bed, root: string, say: Say, signal: AbortSignal): Promise<string[]> {
  const startMs = performance.now();
  for (;;) {
    const holders = await holdersOf(root, bed.proxies);
    const tookMs = Math.round(performance.now() - startMs);
    if (holders.length === 0) {
      say(`   nobody has the old root ${tookMs} ms after it was revoked`);
      return [];
    }
    if (tookMs > FORGOTTEN_WITHIN_MS || signal.aborted) {
      return [`${holders.join(', ')} still have the old root ${tookMs} ms after it was revoked`];
    }
    await sleep(100, signal);
  }
}

function describe({ step, nextStep, progress, lacking }: RolloverProgress): string {
  const acks = progress.map(({ cluster, have, of }) => `${cluster} ${have}/${of}`).join(', ');
  const wait = lacking.length === 0 ? 'proven' : `${lacking.length} lacking`;
  return nextStep === ''
    ? step
    : `${step}, next ${nextStep}: ${wait}${acks === '' ? '' : `, ${acks}`}`;
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

async function progressOf(bed: Bed, cluster: string): Promise<RolloverProgress> {
  return withAgent(bed, cluster, async (channel, call) => {
    const { rollover } = await channel.unary(methods.getRollover, {}, call);
    if (rollover === undefined) throw new Error(`${cluster} has no rollover`);
    return rollover;
  });
}

async function withAgent<T>(
  { fleet }: Bed,
  cluster: string,
  use: (channel: RpcChannel, call: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const channel = await operatorChannel(agentOf(fleet, cluster), AgentOperatorDefinition);
  try {
    return await use(channel, { signal: new AbortController().signal });
  } finally {
    channel.close();
  }
}
