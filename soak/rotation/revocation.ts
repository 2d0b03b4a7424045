/**
 * An identity and then a whole cluster revoked under traffic, measured at every proxy that it reaches:
 * with a certificate that has an hour to live, as from a stolen key, it holds a connection open and asks
 * for new ones all the time. Another identity does the same beside it and must notice nothing.
 */

import { join } from 'node:path';
import { svidsBeside } from '../../bench/systems/authority.ts';
import { agentOf } from '../../src/cli/operator.ts';
import { judgeCluster, judgeIdentity } from '../../src/cli/revocation.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { requireSpiffeId, type SpiffeId, trustDomainOf } from '../../src/mesh/spiffe-id.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import type { Svid } from '../../src/trust-federation/identity/svid.ts';
import type { Say } from '../soak.ts';
import type { Bed } from './bed.ts';
import { CLUSTERS, CUT_OFF } from './configuration.ts';
import { type Door, doorOf, type OpenConnection } from './doors.ts';

const REFUSED_WITHIN_MS = 5_000;
const CLOSED_WITHIN_MS = 30_000;
const RESTORED_WITHIN_MS = 30_000;
const BETWEEN_ATTEMPTS_MS = 20;

export interface Subject {
  readonly name: string;
  readonly id: SpiffeId;
  /** Its own proxy. */
  readonly own: string;
  /** Whose proxies have to refuse it. */
  readonly clusters: readonly string[];
  judge(bed: Bed, revoked: boolean): Promise<void>;
}

const BYSTANDER = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');
const WORKLOAD = requireSpiffeId('spiffe://east.example/ns/shop/sa/checkout');

export const IDENTITY: Subject = {
  name: WORKLOAD,
  id: WORKLOAD,
  own: 'east/checkout',
  clusters: CLUSTERS,
  judge: ({ fleet }, revoked) => judgeIdentity(fleet, WORKLOAD, revoked, 'soak'),
};

/** Inside the cluster its own calls go on. */
export const CLUSTER: Subject = {
  name: `cluster ${CUT_OFF}`,
  id: requireSpiffeId(`spiffe://${CUT_OFF}.example/ns/shop/sa/checkout`),
  own: `${CUT_OFF}/checkout`,
  clusters: CLUSTERS.filter(cluster => cluster !== CUT_OFF),
  judge: ({ fleet }, revoked) =>
    judgeCluster(fleet, parseClusterName(CUT_OFF), revoked, 'soak', 'soak'),
};

export interface Revoked {
  /** From the command until the last proxy refused a handshake, and had closed what was open. */
  readonly refusedMs: number;
  readonly closedMs: number;
  readonly problems: readonly string[];
}

/** Rejects when a proxy refuses somebody before: what follows would prove nothing. */
export async function revoke(bed: Bed, subject: Subject, say: Say): Promise<Revoked> {
  say(`${subject.name} is revoked`);
  const doors = await doorsOf(bed, subject);
  const svid = await stolenSvid(bed, subject.id);
  const other = await stolenSvid(bed, BYSTANDER);
  const held = await Promise.all(doors.map(door => mustOpen(door, svid)));
  const others = await Promise.all(doors.map(door => mustOpen(door, other)));
  let othersCut = 0;
  for (const each of others) each.onClose(() => othersCut++);
  const over = new AbortController();
  const late = sleep(CLOSED_WITHIN_MS + 1, over.signal);
  const closings = held.map(each => new Promise<void>(resolve => each.onClose(resolve)));

  const sinceMs = stopwatch();
  const refusals = doors.map(door => until('refused', door, svid, REFUSED_WITHIN_MS));
  const closed = closings.map(each => Promise.race([each, late]).then(sinceMs));
  await subject.judge(bed, true);
  const refusedMs = Math.max(...(await Promise.all(refusals)));
  const closedMs = Math.max(...(await Promise.all(closed)));
  over.abort();

  const again = await Promise.all(doors.map(door => door.open(other)));
  const othersTouched = othersCut + again.filter(open => open === undefined).length;
  for (const each of [...others, ...again]) each?.close();

  const restored = doors.map(door => until('accepted', door, svid, RESTORED_WITHIN_MS));
  await subject.judge(bed, false);
  const restoredMs = Math.max(...(await Promise.all(restored)));
  say(
    `   refused by all ${doors.length} proxies ${refusedMs} ms later, its connections closed ${closedMs} ms later,` +
      ` of another identity ${othersTouched}; restored in ${restoredMs} ms`,
  );
  const problems = [
    ...(refusedMs > REFUSED_WITHIN_MS ? ['a new handshake was accepted for too long'] : []),
    ...(closedMs > CLOSED_WITHIN_MS ? ['a connection stayed open for too long'] : []),
    ...(othersTouched > 0 ? [`${othersTouched} connections of another identity were refused`] : []),
    ...(restoredMs > RESTORED_WITHIN_MS ? ['it was not restored everywhere'] : []),
  ];
  return { refusedMs, closedMs, problems: problems.map(each => `${subject.name}: ${each}`) };
}

/** How long it took, or how long it was waited for. */
async function until(
  what: 'accepted' | 'refused',
  door: Door,
  svid: Svid,
  withinMs: number,
): Promise<number> {
  const sinceMs = stopwatch();
  for (;;) {
    const open = await door.open(svid);
    open?.close();
    const tookMs = sinceMs();
    if ((open === undefined ? 'refused' : 'accepted') === what || tookMs > withinMs) return tookMs;
    await sleep(BETWEEN_ATTEMPTS_MS);
  }
}

function stopwatch(): () => number {
  const startMs = performance.now();
  return () => Math.round(performance.now() - startMs);
}

async function mustOpen(door: Door, svid: Svid): Promise<OpenConnection> {
  const open = await door.open(svid);
  if (open === undefined) throw new Error(`${door.name} refuses ${svid.id}, which is not revoked`);
  return open;
}

/** `own`: the proxy that is revoked itself, which hears of nothing any more. */
async function doorsOf(bed: Bed, { own, clusters }: Subject): Promise<readonly Door[]> {
  const doors = clusters.map(async cluster => {
    const { bundle } = await svidsBeside(authorityDir(bed, cluster), []);
    const proxies = bed.proxies.filter(each => each.cluster === cluster && each.name !== own);
    return proxies.map(each => doorOf(each, bundle));
  });
  return (await Promise.all(doors)).flat();
}

async function stolenSvid(bed: Bed, id: SpiffeId): Promise<Svid> {
  const owner = bed.fleet.clusters.find(({ agent }) => agent.trustDomain === trustDomainOf(id));
  if (owner === undefined) throw new Error(`no cluster of ${id}`);
  const { svids } = await svidsBeside(authorityDir(bed, owner.name), [id]);
  const [svid] = svids;
  if (svid === undefined) throw new Error(`no certificate for ${id}`);
  return svid;
}

function authorityDir(bed: Bed, cluster: string): string {
  return join(bed.stateDir(agentOf(bed.fleet, cluster).name), 'authority');
}
