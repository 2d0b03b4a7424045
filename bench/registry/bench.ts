/**
 * `npm run bench -- registry`: clusters of a thousand services each, simulated by real clients, against
 * one registry process and one real etcd. What a start costs, how long an endpoint's change takes to
 * everybody else, what it weighs, and how all of that grows with the number of clusters.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepting, adminReady, ProcessSet } from '../../src/cli/demo/processes.ts';
import { PACKAGE_ROOT } from '../../src/cli/options.ts';
import { table } from '../../src/cli/text.ts';
import { formatAddress } from '../../src/mesh/address.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { createLogger } from '../../src/runtime/log.ts';
import {
  initClusterSet,
  writeRegistryCredentials,
} from '../../src/trust-federation/authority/clusterset-authority.ts';
import type { WatchPosition } from '../../src/wire/registry-records.ts';
import { costOf, type Processes } from '../accounting.ts';
import type { Figures } from '../figures.ts';
import { measureAgent } from './agent.ts';
import { bytesPerChange, SERVICE_SIZES } from './bytes.ts';
import { Watchers } from './changes.ts';
import { Member } from './member.ts';

interface Scale {
  readonly clusters: readonly number[];
  readonly services: number;
  readonly changes: number;
}

const FULL: Scale = { clusters: [10, 30, 100], services: 1_000, changes: 500 };
const QUICK: Scale = { clusters: [2, 10], services: 200, changes: 100 };
const CHANGES_PER_SECOND = 25;
/** Agents that start at the same moment. */
const FRESH_AT_ONCE = 4;
const CLUSTER_SET = parseTrustDomain('clusterset.example');

/** Resolves to false when a change never arrived somewhere. */
export async function benchRegistry(
  options: { readonly quick: boolean; readonly json: boolean },
  signal: AbortSignal,
): Promise<boolean> {
  const scale = options.quick ? QUICK : FULL;
  const rows: Figures[] = [];
  for (const clusters of scale.clusters) {
    if (signal.aborted) break;
    process.stdout.write(`${clusters} clusters of ${scale.services} services …\n`);
    rows.push(await measure(clusters, scale));
  }
  const agents: Figures[] = [];
  for (const clusters of scale.clusters) agents.push(await measureAgent(clusters, scale.services));
  process.stdout.write(`\n${formatRows(rows)}\n\n${formatRows(agents)}\n`);
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ path: 'registry', registry: rows, agent: agents })}\n`,
    );
  }
  return rows.length === scale.clusters.length && rows.every(row => row['lost'] === 0);
}

async function measure(clusters: number, { services, changes }: Scale): Promise<Figures> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const processes = new ProcessSet(dir);
  try {
    const { members, roles } = await start(dir, processes, clusters);
    const published = await costOf(roles, [...processes.pids.values()], async () => {
      for (const member of members) await member.publish(services);
    });
    const [first] = members;
    if (first === undefined) throw new Error('no members');
    const alone = await initialSync([first]);
    const atOnce = await initialSync(members.slice(0, FRESH_AT_ONCE));
    const watchers = new Watchers(members, alone.position);
    await watchers.start();
    const changed = await costOf(roles, [...processes.pids.values()], () =>
      watchers.change(changes, CHANGES_PER_SECOND),
    );
    await watchers.stop();
    const bytes = await bytesPerChange(first, alone.position);
    for (const { client } of members) client.close();
    return {
      clusters,
      records: alone.records,
      publishMsPerCluster: sumUs(published.cost.cpuUs) / 1000 / clusters,
      syncMs: alone.elapsedMs,
      [`sync${FRESH_AT_ONCE}Ms`]: atOnce.elapsedMs,
      ...changed.outcome,
      ...perChange(changed.cost.cpuUs, changes),
      ...Object.fromEntries(SERVICE_SIZES.map(size => [`bytes${size}`, bytes[size] ?? 0])),
      ...rssOf(changed.cost.memory, roles),
    };
  } finally {
    await processes.stopAll();
    await rm(dir, { recursive: true, force: true });
  }
}

async function start(
  dir: string,
  processes: ProcessSet,
  clusters: number,
): Promise<{ readonly members: readonly Member[]; readonly roles: Processes }> {
  const names = Array.from({ length: clusters }, (_, i) => parseClusterName(`c${i}`));
  const authority = await initClusterSet({
    dir: join(dir, 'clusterset'),
    trustDomain: CLUSTER_SET,
    clusters: names,
    now: Date.now,
  });
  const stateDir = join(dir, 'registry');
  await writeRegistryCredentials(authority, join(stateDir, 'identity'));
  const [client, peer] = [await findFreeAddress('127.0.0.1'), await findFreeAddress('127.0.0.1')];
  const [listen, admin] = [await findFreeAddress('127.0.0.1'), await findFreeAddress('127.0.0.1')];
  const etcdFlags = {
    'data-dir': join(dir, 'etcd'),
    'listen-client-urls': `http://${formatAddress(client)}`,
    'advertise-client-urls': `http://${formatAddress(client)}`,
    'listen-peer-urls': `http://${formatAddress(peer)}`,
    'initial-advertise-peer-urls': `http://${formatAddress(peer)}`,
    'initial-cluster': `default=http://${formatAddress(peer)}`,
    'log-level': 'error',
  };
  const configFile = join(dir, 'registry.yaml');
  await writeFile(
    configFile,
    JSON.stringify({
      clusterSet: CLUSTER_SET,
      listen: formatAddress(listen),
      admin: formatAddress(admin),
      stateDir,
      store: { kind: 'etcd', endpoints: [formatAddress(client)] },
    }),
  );
  await processes.start({
    name: 'etcd',
    command: 'etcd',
    args: Object.entries(etcdFlags).map(([flag, value]) => `--${flag}=${value}`),
    waitingFor: accepting(client),
  });
  await processes.start({
    name: 'registry',
    command: process.execPath,
    args: [join(PACKAGE_ROOT, 'bin/isthmus.js'), 'registry', '--config', configFile],
    waitingFor: adminReady(admin),
  });
  const log = createLogger('bench');
  const members = await Promise.all(
    names.map((name, i) => Member.open(join(dir, 'clusterset'), CLUSTER_SET, name, i, listen, log)),
  );
  return { members, roles: Object.fromEntries(processes.pids) };
}

interface InitialSync {
  readonly elapsedMs: number;
  readonly records: number;
  readonly position: WatchPosition;
}

/** Until the last of these members has read the whole table. */
async function initialSync(members: readonly Member[]): Promise<InitialSync> {
  const startedMs = performance.now();
  const tables = await Promise.all(
    members.map(async member => {
      const stop = new AbortController();
      for await (const update of member.follow(undefined, stop.signal)) {
        stop.abort();
        if (update.kind === 'replace-all') {
          return { records: update.records.length, position: update.position };
        }
      }
      throw new Error('the watch ended before the table was read');
    }),
  );
  const [first] = tables;
  if (first === undefined) throw new Error('nobody to sync');
  return { ...first, elapsedMs: performance.now() - startedMs };
}

function perChange(cpuUs: Readonly<Record<string, number>>, changes: number): Figures {
  return Object.fromEntries(
    Object.entries(cpuUs).map(([role, us]) => [`${role}CpuUsPerChange`, us / changes]),
  );
}

function rssOf(memory: Figures, roles: Processes): Figures {
  return Object.fromEntries(
    Object.keys(roles).map(role => [`${role}RssMb`, memory[`memory.${role}.rssMb`] ?? 0]),
  );
}

function sumUs(cpuUs: Readonly<Record<string, number>>): number {
  return Object.values(cpuUs).reduce((sum, us) => sum + us, 0);
}

/** Figures downwards, one column for each number of clusters. */
function formatRows(rows: readonly Figures[]): string {
  const [heading, ...names] = Object.keys(rows[0] ?? {});
  const shown = (row: Figures, name: string): string => {
    const value = row[name] ?? Number.NaN;
    return value.toFixed(value < 10 && !Number.isInteger(value) ? 2 : 0);
  };
  return heading === undefined
    ? ''
    : table(
        [heading, ...rows.map(row => shown(row, heading))],
        names.map(name => [name, ...rows.map(row => shown(row, name))]),
      );
}
