/** Cases that are more than one fault and its end: what flaps, what restarts under load, what stands still. */

import { applicationName } from '../../src/cli/demo/application.ts';
import { findSidecar } from '../../src/cli/fleet.ts';
import { LEASE_TTL_MS } from '../../src/cluster-agent/limits.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { signalTo } from './faults.ts';
import { Load } from './load.ts';
import { dropPackets, heal } from './namespace.ts';
import { type CaseResult, count, kinds, movedAfterMs } from './result.ts';
import { settled } from './settled.ts';
import { SERVICE_HOST, type World } from './world.ts';

const PER_SECOND = 200;
const ROLLING_PER_SECOND = 1_000;
const LOOK_MS = 25;
const FLAP_MS = 5_000;
/** An endpoint that dies while nobody can say so is out of rotation by then. */
const DEAD_OUT_MS = 15_000;

/** Packets to one gateway are lost for five seconds, and then not, and so on. */
export async function runFlapping(world: World): Promise<CaseResult> {
  await settled(world);
  const [first] = world.gateways;
  const load = new Load(world.entry, SERVICE_HOST, PER_SECOND);
  const done = new AbortController();
  const changes = countChanges(world, done.signal);
  for (let i = 0; i < 8; i++) {
    dropPackets([first.listen.port], 'both-ways');
    await sleep(FLAP_MS);
    heal();
    await sleep(FLAP_MS);
  }
  done.abort();
  await load.stop();
  const counted = count(load.outcomes);
  const changed = await changes;
  const notes = { ...kinds(load.outcomes), changes: changed };
  const base = { fault: 'one of two gateways flapping', detectMs: null, movedMs: null };
  const isDamped = changed <= (8 * 2 * FLAP_MS) / 30_000 + 1;
  return {
    ...base,
    ...counted,
    returnMs: null,
    notes,
    held: isDamped && counted.failedIdempotent === 0,
  };
}

/** Each gateway is asked to stop and started again, one after the other, while uploads are under way. */
export async function runRollingRestart(world: World, isQuick: boolean): Promise<CaseResult> {
  await settled(world);
  const load = new Load(world.entry, SERVICE_HOST, ROLLING_PER_SECOND);
  const wanted = isQuick ? 12_000 : 100_000;
  const uploads: Promise<boolean>[] = [];
  let restarts = 0;
  while (load.sent < wanted) {
    for (const { name } of world.gateways) {
      // Shorter than the drain: it has to end well.
      uploads.push(load.slowUpload(6_000), load.slowUpload(6_000));
      await sleep(1_000);
      await world.processes.stop(name);
      await world.processes.restart(name);
      restarts++;
    }
  }
  const finished = (await Promise.all(uploads)).filter(Boolean).length;
  await load.stop();
  const counted = count(load.outcomes);
  const notes = {
    ...kinds(load.outcomes),
    restarts,
    uploads: uploads.length,
    uploadsCut: uploads.length - finished,
  };
  const base = { fault: 'rolling restart of both gateways', detectMs: null, movedMs: null };
  const held = counted.failed === 0 && finished === uploads.length;
  return { ...base, ...counted, returnMs: null, notes, held };
}

/**
 * What is named stands still for three leases: no endpoint leaves for that. One that dies meanwhile does, by
 * what its callers see.
 */
export async function runStalledControlPlane(
  world: World,
  stalled: readonly string[],
): Promise<CaseResult> {
  await settled(world);
  const { fleet, processes } = world;
  const home = findSidecar(fleet, 'east/checkout');
  const load = new Load(world.entry, SERVICE_HOST, PER_SECOND);
  const before = (await world.endpoints()).length;
  const done = new AbortController();
  const fewest = fewestEndpoints(world, done.signal);
  for (const name of stalled) signalTo(world, name, 'SIGSTOP');
  await sleep(2 * LEASE_TTL_MS);
  const deathMs = performance.now();
  await processes.kill(applicationName(home));
  await sleep(LEASE_TTL_MS);
  const healMs = performance.now();
  for (const name of stalled) signalTo(world, name, 'SIGCONT');
  await processes.restart(applicationName(home));
  const isBack = ({ sentMs, servedBy }: { sentMs: number; servedBy: string | undefined }) =>
    sentMs > healMs && servedBy === home.workload;
  const back = await load.first(isBack, DEAD_OUT_MS);
  await sleep(LEASE_TTL_MS);
  done.abort();
  await load.stop();
  const counted = count(load.outcomes);
  const movedMs = movedAfterMs(load.outcomes, deathMs, healMs);
  const withdrawn = before - (await fewest);
  return {
    fault: 'control plane stopped for three leases, a service killed meanwhile',
    detectMs: null,
    movedMs,
    ...counted,
    returnMs: back === undefined ? null : Math.round(back.doneMs - healMs),
    notes: { ...kinds(load.outcomes), withdrawn },
    held:
      withdrawn === 0 &&
      movedMs <= DEAD_OUT_MS &&
      counted.failedIdempotent === 0 &&
      back !== undefined,
  };
}

async function fewestEndpoints(world: World, signal: AbortSignal): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  while (!signal.aborted) {
    fewest = Math.min(fewest, (await world.endpoints()).length);
    await sleep(LOOK_MS);
  }
  return fewest;
}

/** How often the first gateway leaves service or comes back. */
async function countChanges(world: World, signal: AbortSignal): Promise<number> {
  let changes = 0;
  let before: boolean | undefined;
  const [first] = world.gateways;
  const address = `${first.listen.host}:${first.listen.port}`;
  while (!signal.aborted) {
    const ways = (await world.endpoints()).flatMap(endpoint => endpoint.ways);
    const kind = ways.find(way => way.address === address)?.probed?.kind;
    const isIn = kind === undefined || kind === 'up' || kind === 'unknown';
    if (before !== undefined && isIn !== before) changes++;
    before = isIn;
    await sleep(LOOK_MS);
  }
  return changes;
}
