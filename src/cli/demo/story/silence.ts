/**
 * The rest of step 3: failures that say nothing. The sidecar of east's checkout is stopped in mid-air (it
 * accepts and never answers), and, with the right to filter packets, that of west's is black-holed. Nobody
 * resets a connection here: each caller's sidecar has to notice by itself. Two callers, because what fails
 * twice in half a minute is flapping, and stays out.
 */

import { spawnSync } from 'node:child_process';
import { sleep } from '../../../runtime/supervise.ts';
import type { SidecarMember } from '../../fleet.ts';
import { type Outcome, SteadyLoad } from '../load.ts';
import type { Narrator } from '../narrator.ts';
import { clustersetUrl, sidecarOf, type World } from '../world.ts';

interface Silence {
  readonly name: string;
  readonly caller: SidecarMember;
  readonly home: SidecarMember;
  readonly said: string;
  readonly goalMs: number;
  readonly begin: () => void;
  readonly end: () => void;
}

const REQUESTS_PER_SECOND = 200;
const SILENT_FOR_MS = 3_500;
const HOME_WITHIN_MS = 20_000;
/** A request that takes longer has noticed. */
const SLOW_MS = 500;
const TABLE = 'inet isthmus_demo';

export async function tellSilence(world: World, narrator: Narrator): Promise<void> {
  const home = sidecarOf(world, 'east/checkout');
  const pid = world.processes.pids.get(home.name);
  if (pid === undefined) throw new Error(`"${home.name}" does not run`);
  await tellOne(narrator, {
    name: 'hang',
    caller: sidecarOf(world, 'east/web'),
    home,
    said: `stopped the sidecar of ${home.workload} with SIGSTOP: it accepts and never answers`,
    goalMs: 8_000,
    begin: () => process.kill(pid, 'SIGSTOP'),
    end: () => process.kill(pid, 'SIGCONT'),
  });
  if (nft(`add table ${TABLE}`)) {
    const other = sidecarOf(world, 'west/checkout');
    const { port } = other.inbound;
    await tellOne(narrator, {
      name: 'black hole',
      caller: sidecarOf(world, 'west/payments'),
      home: other,
      said: `dropped every packet from and to the sidecar of ${other.workload} (nft)`,
      goalMs: 5_000,
      begin: () => {
        nft(`add chain ${TABLE} out { type filter hook output priority 0 ; }`);
        for (const end of ['sport', 'dport']) nft(`add rule ${TABLE} out tcp ${end} ${port} drop`);
      },
      end: () => nft(`delete table ${TABLE}`),
    });
  } else {
    narrator.say(
      '   black holes need root and nft: npm run bench -- failover shows them, with the rest',
    );
  }
}

async function tellOne(narrator: Narrator, silence: Silence): Promise<void> {
  const { caller, home } = silence;
  const load = new SteadyLoad(caller.outboundHttp, clustersetUrl('checkout'), REQUESTS_PER_SECOND);
  try {
    const atHome = await load.first(({ servedBy }) => servedBy === home.workload, HOME_WITHIN_MS);
    if (atHome === undefined) throw new Error(`${home.workload} does not serve its own cluster`);
    const beganMs = performance.now();
    silence.begin();
    narrator.say(`   ${silence.said}`);
    await sleep(SILENT_FOR_MS);
    silence.end();
    const report = await load.stop();
    const noticing = load.outcomes.filter(
      outcome => outcome.doneMs > beganMs && hasNoticed(outcome),
    );
    const movedMs = Math.max(0, ...noticing.map(({ sentMs }) => sentMs - beganMs));
    narrator.show(
      `${silence.name}: calls moved after`,
      `${(movedMs / 1000).toFixed(1)} s, ${report.failed} of ${report.sent} failed`,
      silence.name === 'hang' ? 'hang' : 'blackHole',
      { movedMs: Math.round(movedMs), ...report },
    );
    narrator.check(
      `${silence.name}: within ${silence.goalMs / 1_000} s calls went elsewhere, and none failed`,
      movedMs <= silence.goalMs && report.failed === 0,
      `${report.ok} of ${report.sent} answered`,
    );
  } finally {
    silence.end();
    await load.stop();
  }
}

function hasNoticed({ sentMs, doneMs, failure }: Outcome): boolean {
  return failure !== undefined || doneMs - sentMs > SLOW_MS;
}

/** False when it could not be done. */
function nft(command: string): boolean {
  return spawnSync('nft', [command]).status === 0;
}
