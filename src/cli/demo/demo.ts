/**
 * `isthmus demo`: a ClusterSet on this machine, as separate processes on loopback, and its story.
 *
 * The configuration is that of `clusters/`, unchanged; only the state directories are moved into a run
 * folder, which goes away with the demo. Credentials are made here as an operator would make them.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAddress } from '../../mesh/address.ts';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import { closeServer, listen } from '../../runtime/listen.ts';
import { aborted } from '../../runtime/supervise.ts';
import { allMembers, type Fleet, type FleetMember, readFleet } from '../fleet.ts';
import { DEFAULT_CONFIG_DIR } from '../options.ts';
import { style } from '../text.ts';
import { applicationProcess } from './application.ts';
import { describeEtcd, withEtcdStore } from './etcd.ts';
import { Narrator, type StepReport } from './narrator.ts';
import { componentProcess, ProcessSet, type ProcessSpec } from './processes.ts';
import { enrolProxies, provisionClusterSet, shareServices } from './provision.ts';
import { tellCallByName } from './story/call-by-name.ts';
import { tellControlPlaneLoss } from './story/control-plane-loss.ts';
import { tellLocality } from './story/locality.ts';
import { tellRefusals } from './story/refusals.ts';
import { tellRollover } from './story/rollover.ts';
import { tellTrust } from './story/trust.ts';
import type { World } from './world.ts';

export interface DemoOptions {
  readonly check?: boolean;
  /** Replace a root under traffic. */
  readonly rollover?: boolean;
  readonly json?: boolean;
  readonly etcd?: boolean;
  readonly clusters: number;
  readonly configDir: string;
}

type Step = readonly [title: string, tell: (world: World, narrator: Narrator) => Promise<void>];
const ROLLOVER: Step = ["Trust: a cluster's root is replaced under traffic", tellRollover];

/** In the order they join: two tell the story, the third makes it wider. */
const CLUSTERS = ['east', 'west', 'eu'];

/** True when every step held. Resolves after the last process has ended and the run folder is gone. */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const runDir = await mkdtemp(join(tmpdir(), 'isthmus-demo-'));
  const processes = new ProcessSet(runDir);
  const narrator = new Narrator(options.json ?? false);
  try {
    const story = tellStory(options, runDir, processes, narrator, stop.signal);
    const held = await Promise.race([story, aborted(stop.signal).then(() => undefined)]);
    if (held === undefined) return false;
    if (options.check !== true && !stop.signal.aborted) {
      narrator.say(commandsToTry(options));
      await aborted(stop.signal);
    }
    return held;
  } finally {
    narrator.say(style('\nstopping …', 'dim'));
    const count = processes.size;
    await processes.stopAll();
    await rm(runDir, { recursive: true, force: true });
    narrator.say(style(`${count} processes ended, ${runDir} removed`, 'dim'));
  }
}

async function tellStory(
  options: DemoOptions,
  runDir: string,
  processes: ProcessSet,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<boolean> {
  const world = await startFleet(options, runDir, processes, narrator);
  const steps: readonly Step[] = [
    ['Trust: each cluster has its own root', tellTrust],
    ['A call by name crosses two clusters', tellCallByName],
    // After the call whose handshake the gateway is watched at: this one leaves sessions open.
    ...(options.rollover === true ? [ROLLOVER] : []),
    ['Locality: calls stay home, move when home dies, and come back', tellLocality],
    ['The control plane dies and calls go on', tellControlPlaneLoss],
    ['Refusals, each beside the legal twin', tellRefusals],
  ];
  const reports: StepReport[] = [];
  for (const [index, [title, tell]] of steps.entries()) {
    if (signal.aborted) return false;
    reports.push(await narrator.step(index + 1, title, () => tell(world, narrator)));
  }
  const failed = reports.filter(report => !report.held);
  narrator.say();
  if (failed.length === 0) narrator.say(style(`All ${reports.length} steps held.`, 'green'));
  for (const report of failed) {
    narrator.say(
      style(
        `Step ${report.step} did not hold: ${report.checks
          .filter(check => !check.held)
          .map(check => check.name)
          .join('; ')}`,
        'red',
      ),
    );
  }
  return failed.length === 0;
}

async function startFleet(
  options: DemoOptions,
  runDir: string,
  processes: ProcessSet,
  narrator: Narrator,
): Promise<World> {
  const started = performance.now();
  const configured = readFleet(options.configDir);
  const names = CLUSTERS.slice(0, options.clusters);
  const fleet: Fleet = {
    ...configured,
    clusters: names.flatMap(name => configured.clusters.filter(cluster => cluster.name === name)),
  };
  if (fleet.clusters.length !== names.length) {
    throw new Error(`the demo needs clusters ${names.join(', ')} in "${options.configDir}"`);
  }
  await requireFree(fleet);
  const stateDir = (name: string): string => join(runDir, 'state', name);
  const component = (member: FleetMember, configFile?: string): ProcessSpec =>
    componentProcess(member, stateDir(member.name), configFile);

  narrator.say(
    style(
      `Starting a ClusterSet on loopback: ${fleet.clusters.map(cluster => cluster.name).join(', ')}`,
      'bold',
    ),
  );
  await provisionClusterSet(fleet, stateDir);
  let registry = component(fleet.registry);
  if (options.etcd === true) {
    const etcd = await describeEtcd(runDir);
    await processes.start(etcd.spec);
    const configFile = join(runDir, 'registry.yaml');
    withEtcdStore(fleet.registry.configFile, etcd.client, configFile);
    registry = component(fleet.registry, configFile);
    narrator.say(`   etcd                       ${formatAddress(etcd.client)}`);
  }
  await processes.start(registry, ...fleet.clusters.map(cluster => component(cluster.agent)));
  narrator.say(`   registry and ${fleet.clusters.length} agents      ready`);
  await shareServices(fleet);
  await enrolProxies(fleet, stateDir);
  const proxies = fleet.clusters.flatMap(cluster => [cluster.gateway, ...cluster.sidecars]);
  const sidecars = fleet.clusters.flatMap(cluster => cluster.sidecars);
  await processes.start(
    ...sidecars.map(applicationProcess),
    ...proxies.map(proxy => component(proxy)),
  );
  narrator.say(
    `   ${fleet.clusters.length} gateways, ${sidecars.length} workloads each beside its sidecar ready`,
  );
  narrator.say(
    style(
      `   ${processes.size} processes in ${((performance.now() - started) / 1000).toFixed(1)} s, logs in ${join(runDir, 'logs')}`,
      'dim',
    ),
  );
  return { fleet, processes, stateDir };
}

/** Another demo's processes would answer in place of those that are started here. Throws ADDRESS_IN_USE. */
async function requireFree(fleet: Fleet): Promise<void> {
  for (const { admin } of allMembers(fleet)) {
    const server = createServer();
    try {
      await listen(server, admin);
    } catch (error) {
      if (!isMeshError(error, 'ADDRESS_IN_USE')) throw error;
      throw new MeshError('ADDRESS_IN_USE', `${error.message}; does another demo run?`, {
        cause: error,
      });
    }
    await closeServer(server);
  }
}

function commandsToTry(options: DemoOptions): string {
  const fleet = readFleet(options.configDir);
  const web = fleet.clusters
    .flatMap(cluster => cluster.sidecars)
    .find(sidecar => sidecar.name === 'east/web');
  if (web === undefined) throw new Error('the demo needs east/web');
  const proxy = `http://${formatAddress(web.outboundHttp)}`;
  const { configDir } = options;
  const where = configDir === DEFAULT_CONFIG_DIR ? '' : ` --config-dir ${configDir}`;
  return `
${style('The mesh stays up. Try, in another terminal:', 'bold')}

  curl -s -x ${proxy} http://payments.shop.svc.clusterset.local/
  curl -s -H 'Host: checkout.shop.svc.clusterset.local' ${proxy}/
  curl -si -H 'x-isthmus-explain: 1' -x ${proxy} http://payments.shop.svc.clusterset.local/ | grep x-isthmus-upstream
  curl -s http://${formatAddress(web.admin)}/debug/upstreams
  npx isthmus status${where}
  npx isthmus drill east --dry-run${where}
  npx isthmus call east/web http://payments.shop.svc.clusterset.local/${where}

${style('Ctrl-C ends every process and removes every file.', 'dim')}`;
}
