/**
 * `npm run soak -- registry`: calls go on, exports come and go, and importers keep watching, while the
 * registry and everything below it fails in every way of `faults.ts`, one after the other.
 *
 * Held when no call failed, no live endpoint was withdrawn anywhere, no dead one was kept, everything
 * had converged 10 s after each healing, the recorded history has no anomaly, and the importer that was
 * broken on purpose was caught.
 */

import { join } from 'node:path';
import type { LoadReport } from '../../src/cli/demo/load.ts';
import { RegistryClient } from '../../src/global-registry/client.ts';
import { type ClusterName, parseClusterName } from '../../src/mesh/names.ts';
import { parseTrustDomain, registryId } from '../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { sleep, supervise } from '../../src/runtime/supervise.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { checkConverged, checkHistory } from '../history/check.ts';
import type { Anomaly, History } from '../history/history.ts';
import { inOwnNetwork } from '../namespace.ts';
import type { SoakOptions } from '../soak.ts';
import { type Bed, startBed } from './bed.ts';
import { Churn } from './churn.ts';
import { CLUSTER_SET, SERVICE_URL } from './configuration.ts';
import { Convergence } from './convergence.ts';
import { FleetWatch, fleetOf } from './endpoints.ts';
import { FAULTS } from './faults.ts';
import { Importer, losingEvents } from './importers.ts';
import { startLoad } from './load.ts';

const REQUESTS_PER_SECOND = 1_000;
const FLEET_SIZE = 200;
/** Of the idle service's endpoints, so many die and are born during each fault. */
const TURN_OVER = 10;
const CONVERGE_MS_MAX = 10_000;
/** Then the fault has done lasting damage, and the next one would only blur it. */
const GIVE_UP_MS = 90_000;
const FULL_MS = 30 * 60_000;
const WRITERS = ['churn-1', 'churn-2'].map(parseClusterName);
const OBSERVER = parseClusterName('observer');
const LOST_EVERY = 7;

export async function registrySoak(options: SoakOptions, signal: AbortSignal): Promise<boolean> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  say(
    `faults by ${inOwnNetwork() ? 'a network of our own' : 'proxies (run as root for namespaces)'}`,
  );
  const endpoints = fleetOf(FLEET_SIZE);
  const bed = await startBed([...WRITERS, OBSERVER], endpoints, Math.random);
  try {
    const figures = await run(bed, endpoints, options, say, signal);
    const held = verdict(figures, say);
    if (options.json) {
      const { sent, failed } = figures.load;
      const { liveWithdrawn, deadStillServed, convergeMs } = figures;
      const anomalies = figures.anomalies.length;
      say(JSON.stringify({ sent, failed, liveWithdrawn, deadStillServed, anomalies, convergeMs }));
    }
    return held;
  } finally {
    await bed.close();
  }
}

interface Figures {
  readonly load: LoadReport;
  readonly liveWithdrawn: number;
  readonly deadStillServed: number;
  readonly anomalies: readonly Anomaly[];
  /** Of the importer that loses events on purpose; none would mean that nothing would be found. */
  readonly caught: number;
  /** The longest of all faults. */
  readonly convergeMs: number;
}

async function run(
  bed: Bed,
  endpoints: readonly string[],
  options: SoakOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Figures> {
  const fleet = new FleetWatch(bed.caller.admin, endpoints);
  const writers = await Promise.all(
    WRITERS.map(async name => new Churn(name, await clientOf(bed, name), Math.random)),
  );
  const importers = await makeImporters(bed);
  const broken = await makeBrokenImporter(bed);
  const convergence = new Convergence(bed, fleet, writers, importers);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const writing = new AbortController();
  const background = [
    supervise(writers, AbortSignal.any([either, writing.signal])),
    supervise([...importers, broken, fleet], either),
  ];
  const failed = Promise.all(background).catch((error: unknown) => {
    if (!either.aborted) throw error;
  });
  const load = startLoad(bed.caller.outboundHttp, SERVICE_URL, REQUESTS_PER_SECOND);
  const startedMs = performance.now();
  let convergeMs = 0;
  let deadStillServed = 0;
  const play = async (): Promise<void> => {
    await convergence.reached(GIVE_UP_MS, either);
    do {
      for (const fault of FAULTS) {
        if (either.aborted) return;
        bed.setFleet(fleet.turnOver(TURN_OVER));
        await fault.strike(bed, either);
        const healedMs = performance.now();
        const lasting = await convergence.reached(CONVERGE_MS_MAX, either);
        if (lasting !== undefined) {
          deadStillServed += (await fleet.dead()).length;
          say(`   after ${CONVERGE_MS_MAX / 1000} s: ${lasting}`);
          const given = await convergence.reached(GIVE_UP_MS, either);
          if (given !== undefined) throw new Error(`${fault.name}: never converged: ${given}`);
        }
        const tookMs = Math.round(performance.now() - healedMs);
        convergeMs = Math.max(convergeMs, tookMs);
        say(`${lasting === undefined ? 'ok  ' : 'LATE'} ${fault.name}: converged in ${tookMs} ms`);
      }
    } while (!options.quick && performance.now() - startedMs < FULL_MS);
    // What everybody must hold in the end is a write after which there was no other.
    writing.abort();
    await background[0];
    const missing = await convergence.reached(GIVE_UP_MS, either);
    if (missing !== undefined) throw new Error(`never came to rest: ${missing}`);
  };
  try {
    await Promise.race([play(), failed.then(() => sleep(2 ** 30, either))]);
  } finally {
    // Also when it failed: the load is a process of its own.
    stop.abort();
  }
  const report = await load.stop();
  await Promise.all(background);
  const history: History = {
    writes: writers.flatMap(({ writes }) => writes),
    importers: importers.map(importer => importer.history()),
  };
  say(describe(history, bed));
  return {
    load: report,
    liveWithdrawn: fleet.withdrawn.size,
    deadStillServed,
    anomalies: [...checkHistory(history), ...checkConverged(history)],
    caught: checkHistory({ ...history, importers: [broken.history()] }).length,
    convergeMs,
  };
}

function verdict(figures: Figures, say: (line: string) => void): boolean {
  const { load, liveWithdrawn, deadStillServed, anomalies, caught, convergeMs } = figures;
  say(`requests: ${load.sent} sent, ${load.failed} failed ${JSON.stringify(load.failures)}`);
  say(`endpoints: ${liveWithdrawn} live withdrawn, ${deadStillServed} dead still served`);
  say(`history: ${anomalies.length} anomalies; the broken watcher was caught ${caught} times`);
  for (const each of anomalies.slice(0, 20)) say(`   ${JSON.stringify(each)}`);
  say(`converged after at most ${convergeMs} ms`);
  return (
    load.sent > 0 &&
    load.failed === 0 &&
    liveWithdrawn === 0 &&
    deadStillServed === 0 &&
    anomalies.length === 0 &&
    caught > 0 &&
    convergeMs <= CONVERGE_MS_MAX
  );
}

function describe({ writes, importers }: History, bed: Bed): string {
  const lost = writes.filter(({ revision }) => revision === undefined).length;
  const sights = importers.reduce((sum, each) => sum + each.sights.length, 0);
  const distorted = [...bed.belowRegistry, ...bed.aboveRegistry].reduce(
    (sum, each) => sum + each.distorted,
    0,
  );
  return `history: ${writes.length} writes (${lost} without an answer), ${sights} updates seen by ${importers.length} importers, ${distorted} messages distorted`;
}

/** One on each way: the registries as they are, one that lies above and below, and across the knife. */
async function makeImporters(bed: Bed): Promise<Importer[]> {
  const [first, second] = bed.registries;
  const ways = {
    'through either registry': bed.registries,
    'through the registry whose etcd lies': second === undefined ? [] : [second],
    'through a lying proxy': bed.aboveRegistry.map(({ address }) => address),
    'across the cut': bed.knife.addresses,
    'through one registry': first === undefined ? [] : [first],
  };
  return Promise.all(
    Object.entries(ways).map(
      async ([name, addresses], index) =>
        new Importer({
          name,
          registry: await clientOf(bed, OBSERVER, addresses),
          clusters: WRITERS,
          stateDir: join(bed.dir, 'importers', String(index)),
          log: LOG,
        }),
    ),
  );
}

async function makeBrokenImporter(bed: Bed): Promise<Importer> {
  return new Importer({
    name: 'broken on purpose',
    registry: await clientOf(bed, OBSERVER),
    clusters: WRITERS,
    stateDir: join(bed.dir, 'importers', 'broken'),
    log: LOG,
    breakWatch: losingEvents(LOST_EVERY),
  });
}

const LOG = createLogger('soak');

async function clientOf(
  bed: Bed,
  member: ClusterName,
  addresses = bed.registries,
): Promise<RegistryClient> {
  const { svid, roots } = await bed.credentials(member);
  const registry = exactly(registryId(parseTrustDomain(CLUSTER_SET)));
  return new RegistryClient({
    addresses: addresses.map(({ host, port }) => ({ host, port })),
    tls: () => meshRpcTls(svid, roots, registry, Date.now),
    log: LOG,
  });
}
