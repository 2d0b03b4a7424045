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
import { Load, type Outcome } from './load.ts';
import { dropPackets, heal, isInside } from './namespace.ts';
import { SERVICE_HOST, type SeenEndpoint, startWorld, type World } from './world.ts';

export interface CaseResult {
  readonly fault: string;
  readonly detectMs: number | null;
  readonly movedMs: number | null;
  readonly sent: number;
  readonly failed: number;
  readonly failedIdempotent: number;
  readonly returnMs: number | null;
  /** Failures of each kind, and whatever else a case has to say. */
  readonly notes: Readonly<Record<string, number>>;
  readonly held: boolean;
}

const PER_SECOND = 200;
const ROLLING_PER_SECOND = 1_000;
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const FAULT_MS = 9_000;
/** Damping keeps a path out for 30 s of unbroken answers. */
const RETURN_WITHIN_MS = 60_000;
const SLOW_MS = 500;
const LOOK_MS = 25;
const FLAP_MS = 5_000;

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
  const noticing = outcomes.filter(
    o => o.doneMs > faultMs && o.sentMs < healMs && (o.failure !== undefined || isSlow(o)),
  );
  const dip = outcomes.filter(o => o.sentMs >= healMs && o.failure !== undefined).length;
  const movedMs = Math.max(0, ...noticing.map(o => o.sentMs - faultMs));
  const counted = count(outcomes);
  return {
    fault: fault.name,
    detectMs: noticedMs === undefined ? null : Math.round(noticedMs - faultMs),
    movedMs: Math.round(movedMs),
    ...counted,
    returnMs: back === undefined ? null : Math.round(back.doneMs - healMs),
    notes: { ...kinds(outcomes), failedAfterReturn: dip },
    held:
      movedMs <= fault.goalMs && counted.failedIdempotent === 0 && back !== undefined && dip === 0,
  };
}

/** Packets to one gateway are lost for five seconds, and then not, and so on. */
async function runFlapping(world: World): Promise<CaseResult> {
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
async function runRollingRestart(world: World, isQuick: boolean): Promise<CaseResult> {
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

/** Every way of the service is in service, also those that were out a moment ago. */
async function settled(world: World): Promise<void> {
  const warm = new Load(world.entry, SERVICE_HOST, 20);
  const deadline = performance.now() + 2 * RETURN_WITHIN_MS;
  const isOut = ({ cluster, outOfService, ways }: SeenEndpoint): boolean =>
    cluster !== 'east' &&
    (outOfService !== undefined ||
      ways.some(
        ({ probed, outSinceMs, gatewayOutSinceMs }) =>
          outSinceMs !== undefined ||
          gatewayOutSinceMs !== undefined ||
          (probed !== undefined && probed.kind !== 'up' && probed.kind !== 'unknown'),
      ));
  while ((await world.endpoints()).some(isOut)) {
    if (performance.now() > deadline)
      throw new Error('the mesh does not settle between two faults');
    await sleep(500);
  }
  await warm.stop();
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

function isSlow({ sentMs, doneMs }: Outcome): boolean {
  return doneMs - sentMs > SLOW_MS;
}

function count(outcomes: readonly Outcome[]) {
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  const failedIdempotent = failed.filter(({ isIdempotent }) => isIdempotent).length;
  return { sent: outcomes.length, failed: failed.length, failedIdempotent };
}

function kinds(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { failure } of outcomes) {
    if (failure !== undefined) counts[failure] = (counts[failure] ?? 0) + 1;
  }
  return counts;
}
