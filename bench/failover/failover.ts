/**
 * `npm run bench -- failover`: what each fault costs the callers, under an open-loop load.
 *
 * detectMs: until the caller's sidecar shows it. movedMs: from the fault to the sending of the last request
 * that noticed, by failing or by taking longer than SLOW_MS. returnMs: from the end of the fault to the first
 * request that goes the old way again.
 */

import { applicationName } from '../../src/cli/demo/application.ts';
import { findSidecar } from '../../src/cli/fleet.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { type Fault, pathFaults, serviceFaults } from './faults.ts';
import { Load } from './load.ts';
import { runFlapping, runRollingRestart, runStalledControlPlane } from './long-cases.ts';
import { isInside } from './namespace.ts';
import { type CaseResult, count, kinds, movedAfterMs } from './result.ts';
import { settled } from './settled.ts';
import { SERVICE_HOST, type SeenEndpoint, startWorld, type World } from './world.ts';

const PER_SECOND = 200;
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const FAULT_MS = 9_000;
/** Damping keeps a path out for 30 s of unbroken answers. */
const RETURN_WITHIN_MS = 60_000;
const LOOK_MS = 25;

export async function runFailover(
  options: { readonly quick: boolean; readonly only: string | undefined },
  onResult: (result: CaseResult) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const world = await startWorld();
  const isChosen = (name: string): boolean =>
    options.only === undefined || name.includes(options.only);
  const isRun = ({ name, isQuick, needsPacketFilter }: Fault): boolean =>
    isChosen(name) && (isQuick || !options.quick) && (isInside() || !needsPacketFilter);
  let held = true;
  const tell = (result: CaseResult): void => {
    held &&= result.held;
    onResult(result);
  };
  try {
    for (const fault of serviceFaults(world).filter(isRun)) {
      if (signal.aborted) return false;
      tell(await runCase(world, fault));
    }
    if (isChosen('control plane') && !options.quick) {
      const agents = world.fleet.clusters.map(({ agent }) => agent.name);
      tell(await runStalledControlPlane(world, ['registry', ...agents]));
    }
    // From here on the service is somewhere else.
    const home = findSidecar(world.fleet, 'east/checkout');
    await world.processes.kill(applicationName(home));
    await world.processes.kill(home.name);
    for (const fault of pathFaults(world).filter(isRun)) {
      if (signal.aborted) return false;
      tell(await runCase(world, fault));
    }
    if (isInside() && isChosen('flapping') && !options.quick) tell(await runFlapping(world));
    if (isChosen('rolling restart')) tell(await runRollingRestart(world, options.quick));
  } finally {
    await world.stop();
  }
  return held;
}

async function runCase(world: World, fault: Fault): Promise<CaseResult> {
  await settled(world);
  const load = new Load(world.entry, SERVICE_HOST, PER_SECOND);
  await load.first(outcome => fault.isBack(outcome), RETURN_WITHIN_MS);
  await sleep(BEFORE_MS);
  const faultMs = performance.now();
  const injected = fault.inject();
  const noticedMs = await firstNotice(world, endpoint => fault.isNoticed(endpoint), FAULT_MS);
  await injected;
  await sleep(Math.max(0, FAULT_MS - (performance.now() - faultMs)));
  const healMs = performance.now();
  await fault.heal();
  const back = await load.first(o => o.sentMs > healMs && fault.isBack(o), RETURN_WITHIN_MS);
  await sleep(AFTER_MS);
  await load.stop();
  const { outcomes } = load;
  const dip = outcomes.filter(o => o.sentMs >= healMs && o.failure !== undefined).length;
  const movedMs = movedAfterMs(outcomes, faultMs, healMs);
  const detectMs = noticedMs === undefined ? null : Math.round(noticedMs - faultMs);
  const counted = count(outcomes);
  return {
    fault: fault.name,
    detectMs,
    movedMs,
    ...counted,
    returnMs: back === undefined ? null : Math.round(back.doneMs - healMs),
    notes: { ...kinds(outcomes), failedAfterReturn: dip },
    held:
      movedMs <= fault.goals.movedMs &&
      detectMs !== null &&
      detectMs <= fault.goals.detectMs &&
      counted.failedIdempotent === 0 &&
      back !== undefined &&
      dip === 0,
  };
}

async function firstNotice(
  world: World,
  isNoticed: (endpoint: SeenEndpoint) => boolean,
  withinMs: number,
): Promise<number | undefined> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if ((await world.endpoints()).some(isNoticed)) return performance.now();
    await sleep(LOOK_MS);
  }
  return undefined;
}
