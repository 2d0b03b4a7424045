/** The trust step, live: west gets another root while web calls payments there, and nobody notices. */

import type { RpcChannel } from '../../../runtime/rpc-client.ts';
import { sleep } from '../../../runtime/supervise.ts';
import { AgentOperatorDefinition } from '../../../wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverProgress } from '../../../wire/generated/isthmus/operator/v1/rollover.ts';
import { askAdminBody } from '../../admin-client.ts';
import { operatorChannel } from '../../operator.ts';
import { formatDuration, style } from '../../text.ts';
import { SteadyLoad } from '../load.ts';
import type { Narrator } from '../narrator.ts';
import { agentOf, clustersetUrl, sidecarOf, type World } from '../world.ts';
import { shortFingerprint } from './trust.ts';

const { methods } = AgentOperatorDefinition;
const PER_SECOND = 200;
const STEP_WITHIN_MS = 60_000;
const LOOK_MS = 50;

export async function tellRollover(world: World, narrator: Narrator): Promise<void> {
  const load = new SteadyLoad(
    sidecarOf(world, 'east/web').outboundHttp,
    clustersetUrl('payments'),
    PER_SECOND,
  );
  const channel = await operatorChannel(agentOf(world, 'west'), AgentOperatorDefinition);
  const started = performance.now();
  try {
    const last = await rollOver(channel, narrator);
    narrator.check(
      'west took every step by proof',
      last.step === 'revoked' && last.history.every(({ unproven }) => unproven === ''),
      `${last.history.map(({ step }) => step).join(' → ')} in ${formatDuration(performance.now() - started)}`,
    );
    await checkForgotten(world, narrator, last);
  } finally {
    channel.close();
    const { sent, failed, failures, servedBy } = await load.stop();
    narrator.check(
      'no call of web to payments failed meanwhile',
      sent > 0 && failed === 0 && Object.keys(servedBy).length === 1,
      `${sent} sent, ${failed} failed ${failed === 0 ? '' : JSON.stringify(failures)}`.trim(),
    );
  }
}

/** Starts it, shows the acknowledgements coming in, and goes on as soon as the gate is proven. */
async function rollOver(channel: RpcChannel, narrator: Narrator): Promise<RolloverProgress> {
  const call = { signal: new AbortController().signal };
  await channel.unary(methods.startRollover, { auto: false }, call);
  let shown = '';
  const deadline = performance.now() + STEP_WITHIN_MS;
  for (;;) {
    const { rollover } = await channel.unary(methods.getRollover, {}, call);
    if (rollover === undefined) throw new Error('west has no rollover');
    const line = describe(rollover);
    if (line !== shown) narrator.say(`     ${line}`);
    shown = line;
    const proven = rollover.lacking.length === 0;
    if (rollover.step === 'revoked' && proven) return rollover;
    if (performance.now() > deadline) throw new Error(`no proof within a minute: ${line}`);
    if (proven) await channel.unary(methods.advanceRollover, { forceReason: '' }, call);
    else await sleep(LOOK_MS);
  }
}

function describe({ step, nextStep, progress, lacking }: RolloverProgress): string {
  const proven = lacking.length === 0;
  const acks = progress.map(({ cluster, have, of }) => `${cluster} ${have}/${of}`).join(', ');
  const evidence = acks === '' ? `certificates of the old root alive: ${lacking.length}` : acks;
  const goal = nextStep === '' ? 'forgotten' : nextStep;
  return `${step.padEnd(9)} → ${goal.padEnd(9)} ${style(evidence, proven ? 'green' : 'yellow')}`;
}

async function checkForgotten(
  world: World,
  narrator: Narrator,
  { from, to }: RolloverProgress,
): Promise<void> {
  const sidecars = world.fleet.clusters.flatMap(cluster => cluster.sidecars);
  const bundles = await Promise.all(
    sidecars.map(({ admin }) =>
      askAdminBody<{ readonly roots: readonly string[] }[]>(admin, '/debug/bundles'),
    ),
  );
  const roots = bundles.map(each => each?.flatMap(bundle => bundle.roots) ?? []);
  narrator.check(
    'every sidecar trusts the new root and none the old one',
    roots.every(each => each.includes(to) && !each.includes(from)),
    `${shortFingerprint(from)} is gone, ${shortFingerprint(to)} is in ${roots.length} sidecars`,
  );
}
