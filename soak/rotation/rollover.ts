/**
 * One root replaced by another, with something done to the mesh at each step: the agent that runs it is
 * killed, or another cluster is cut off from the registry. Whatever it is, every step waits for its proof
 * and the last one is reached without help.
 */

import { agentOf } from '../../src/cli/operator.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import type { RolloverProgress } from '../../src/wire/generated/isthmus/operator/v1/rollover.ts';
import type { Say } from '../soak.ts';
import { progressOf, startRollover } from './agents.ts';
import type { Bed } from './bed.ts';
import { holdersOf } from './certificates.ts';
import { CUT_OFF } from './configuration.ts';

const STEP_WITHIN_MS = 90_000;
const LOOK_MS = 100;
/** From the old root's revocation until nobody has it; from the healing, for who was cut off. */
const FORGOTTEN_WITHIN_MS = 5_000;
const HEALED_WITHIN_MS = 30_000;

export interface Trouble {
  readonly name: string;
  readonly forgottenWithinMs: number;
  before(bed: Bed): void;
  /** Once at each step; resolves to what did not go as it should. */
  at(step: string, look: Look): Promise<string[]>;
}

interface Look {
  readonly bed: Bed;
  readonly cluster: string;
  readonly say: Say;
  readonly signal: AbortSignal;
}

export const AGENT_KILLED: Trouble = {
  name: 'its agent killed at each step',
  forgottenWithinMs: FORGOTTEN_WITHIN_MS,
  before: () => undefined,
  at: async (_, { bed, cluster }) => {
    const { name } = agentOf(bed.fleet, cluster);
    await bed.processes.kill(name);
    await bed.processes.restart(name);
    return [];
  },
};

/**
 * Cut off before the new root is announced, and again from when it signs: first everything has to wait for
 * the cluster, then nothing has, as it knows both roots, until the old one is to be forgotten.
 */
export const PARTITION: Trouble = {
  name: `${CUT_OFF} cut off from the registry`,
  forgottenWithinMs: HEALED_WITHIN_MS,
  before: ({ knife }) => knife.cut(),
  at: async (step, look) => {
    const { knife } = look.bed;
    if (step === 'active') knife.cut();
    if (step !== 'announced' && step !== 'revoked') return [];
    const problem = await heldUpByCutOff(step, look);
    knife.heal();
    return problem;
  },
};

export async function rollOver(
  bed: Bed,
  cluster: string,
  trouble: Trouble,
  say: Say,
  signal: AbortSignal,
): Promise<string[]> {
  say(`${cluster}: a new root, ${trouble.name}`);
  const look = { bed, cluster, say, signal };
  trouble.before(bed);
  await startRollover(bed, cluster);
  const problems: string[] = [];
  const steps = new Set<string>();
  const told = narrator(say);
  const deadline = performance.now() + STEP_WITHIN_MS;
  while (!signal.aborted && performance.now() < deadline) {
    const progress = await progressOf(bed, cluster);
    told(describe(progress));
    const { step, from } = progress;
    if (!steps.has(step)) {
      steps.add(step);
      problems.push(...(await trouble.at(step, look)));
      continue;
    }
    if (step === 'revoked') {
      return [...problems, ...(await forgotten(from, trouble.forgottenWithinMs, look))];
    }
    await sleep(LOOK_MS, signal);
  }
  return [...problems, `${cluster}: the rollover was not over in ${STEP_WITHIN_MS / 1000} s`];
}

/** Until status names the cluster that is cut off, as out of touch, and nobody else. */
async function heldUpByCutOff(
  step: string,
  { bed, cluster, say, signal }: Look,
): Promise<string[]> {
  const deadline = performance.now() + STEP_WITHIN_MS;
  let now: RolloverProgress | undefined;
  while (!signal.aborted && performance.now() < deadline) {
    now = await progressOf(bed, cluster);
    if (now.step !== step) return [`${cluster}: went on to ${now.step} without ${CUT_OFF}`];
    const { lacking } = now;
    const isNamed = lacking.some(({ lacks }) => lacks.endsWith('and is out of touch'));
    if (isNamed && lacking.every(each => each.cluster === CUT_OFF)) {
      for (const { proxy, lacks } of lacking) say(`   waits for ${CUT_OFF}/${proxy}: ${lacks}`);
      return [];
    }
    await sleep(LOOK_MS, signal);
  }
  const named = now?.lacking.map(({ cluster: of, proxy, lacks }) => `${of}/${proxy} ${lacks}`);
  return [`${cluster}: at ${step} status names ${named?.join(', ') ?? 'nobody'}, not ${CUT_OFF}`];
}

async function forgotten(
  root: string,
  withinMs: number,
  { bed, say, signal }: Look,
): Promise<string[]> {
  const startMs = performance.now();
  for (;;) {
    const holders = await holdersOf(root, bed.proxies);
    const tookMs = Math.round(performance.now() - startMs);
    if (holders.length === 0) {
      say(`   nobody has the old root ${tookMs} ms after all could hear of its end`);
      return [];
    }
    if (tookMs > withinMs || signal.aborted) {
      return [`${holders.join(', ')} still have the old root ${tookMs} ms after its end`];
    }
    await sleep(LOOK_MS, signal);
  }
}

function narrator(say: Say): (line: string) => void {
  let shown = '';
  return line => {
    if (line !== shown) say(`   ${line}`);
    shown = line;
  };
}

function describe({ step, nextStep, progress, lacking }: RolloverProgress): string {
  const acks = progress.map(({ cluster, have, of }) => `${cluster} ${have}/${of}`).join(', ');
  const wait = lacking.length === 0 ? 'proven' : `${lacking.length} lacking`;
  return nextStep === ''
    ? step
    : `${step}, next ${nextStep}: ${wait}${acks === '' ? '' : `, ${acks}`}`;
}
