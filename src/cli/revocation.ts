/**
 * Revocations: made at the agent of the identity's own cluster, or at the registry for a whole cluster;
 * and who has heard of which, asked of every agent.
 *
 * Whoever has not heard still believes: an identity until its last certificate ends, since its agent signs
 * no more for it; a cluster, which signs for itself, until it hears.
 */

import { isMeshError, MeshError, messageOf } from '../mesh/errors.ts';
import type { ClusterName } from '../mesh/names.ts';
import { type SpiffeId, trustDomainOf } from '../mesh/spiffe-id.ts';
import {
  AgentTrustOperatorDefinition,
  type ListTrustResponse,
  RegistryTrustOperatorDefinition,
} from '../wire/generated/isthmus/operator/v1/trust.ts';
import type { AgentMember, Fleet } from './fleet.ts';
import { formatNotRunning, sortSilent } from './not-running.ts';
import { operatorChannel } from './operator.ts';
import { formatClock, formatDuration, table } from './text.ts';

const { revokeIdentity, restoreIdentity, listTrust } = AgentTrustOperatorDefinition.methods;

/** Throws CONFIG_INVALID for an identity of no cluster here, PEER_UNAVAILABLE, REQUEST_INVALID. */
export async function judgeIdentity(
  fleet: Fleet,
  id: SpiffeId,
  revoked: boolean,
  reason: string,
): Promise<void> {
  const trustDomain = trustDomainOf(id);
  const owner = fleet.clusters.find(({ agent }) => agent.trustDomain === trustDomain);
  if (owner === undefined) {
    throw new MeshError(
      'CONFIG_INVALID',
      `no cluster of the configuration has trust domain "${trustDomain}"; do this where the cluster of "${id}" is run`,
    );
  }
  const channel = await operatorChannel(owner.agent, AgentTrustOperatorDefinition);
  try {
    if (revoked) await channel.unary(revokeIdentity, { spiffeId: id, reason });
    else await channel.unary(restoreIdentity, { spiffeId: id });
  } finally {
    channel.close();
  }
}

/** Throws PEER_UNAVAILABLE, REQUEST_INVALID. */
export async function judgeCluster(
  fleet: Fleet,
  cluster: ClusterName,
  revoked: boolean,
  reason: string,
  by: string,
): Promise<void> {
  const channel = await operatorChannel(fleet.registry, RegistryTrustOperatorDefinition);
  try {
    const { judgeCluster: method } = RegistryTrustOperatorDefinition.methods;
    await channel.unary(method, { cluster, revoked, reason, by });
  } finally {
    channel.close();
  }
}

export interface RevocationReport {
  readonly revocations: readonly Revocation[];
  /** Agents that were not asked, with the reason. */
  readonly unreachable: readonly { readonly cluster: string; readonly problem: string }[];
  /** Configured clusters whose agents do not run and of which no other agent has heard. */
  readonly notRunning: readonly string[];
}

export interface Revocation {
  readonly kind: 'identity' | 'cluster';
  readonly subject: string;
  readonly sinceMs: number;
  readonly reason: string;
  /** Other clusters whose agents do not know it yet. */
  readonly lacking: readonly string[];
  /** Whoever has not heard believes it no longer than this; undefined: until it hears. */
  readonly exposedUntilMs?: number;
}

export async function gatherRevocations(fleet: Fleet): Promise<RevocationReport> {
  const silent: { cluster: string; trustDomain: string; problem: string }[] = [];
  const answers: ListTrustResponse[] = [];
  await Promise.all(
    fleet.clusters.map(async ({ name, agent }) => {
      try {
        answers.push(await ask(agent));
      } catch (error) {
        if (!isMeshError(error)) throw error;
        silent.push({ cluster: name, trustDomain: agent.trustDomain, problem: messageOf(error) });
      }
    }),
  );
  const heardOf = answers.flatMap(({ held }) => held.map(({ trustDomain }) => trustDomain));
  const { missed, notRunning } = sortSilent(silent, heardOf);
  return {
    revocations: [...identities(answers), ...clusters(answers)],
    unreachable: missed,
    notRunning,
  };
}

export function formatRevocations(report: RevocationReport, nowMs: number): string {
  const rows = report.revocations.map(each => [
    each.subject,
    `${formatDuration(nowMs - each.sinceMs)} ago`,
    each.lacking.length === 0 ? 'by all' : `not by ${each.lacking.join(', ')}`,
    exposure(each, nowMs),
    each.reason,
  ]);
  const list =
    rows.length === 0
      ? 'nothing is revoked\n'
      : `${table(['REVOKED', 'SINCE', 'HEARD', 'EXPOSED UNTIL, AT WORST', 'REASON'], rows)}\n`;
  const silent = report.unreachable.map(
    ({ cluster, problem }) => `agent of ${cluster} was not asked: ${problem}\n`,
  );
  return [list, ...silent, formatNotRunning(report.notRunning)].join('');
}

function exposure({ exposedUntilMs }: Revocation, nowMs: number): string {
  if (exposedUntilMs === undefined) return 'each importer hears of it';
  if (exposedUntilMs <= nowMs) return 'over';
  return `${formatClock(exposedUntilMs)} (${formatDuration(exposedUntilMs - nowMs)})`;
}

function identities(answers: readonly ListTrustResponse[]): Revocation[] {
  return answers.flatMap(owner =>
    owner.revoked.map(({ spiffeId, atMs, reason }) => ({
      kind: 'identity' as const,
      subject: spiffeId,
      sinceMs: Number(atMs),
      reason,
      lacking: answers
        .filter(each => each.cluster !== owner.cluster && heldOf(each, owner) < owner.sequence)
        .map(({ cluster }) => cluster)
        .sort(),
      exposedUntilMs: Number(atMs + owner.svidTtlMs),
    })),
  );
}

function heldOf(importer: ListTrustResponse, owner: ListTrustResponse): bigint {
  const held = importer.held.find(({ trustDomain }) => trustDomain === owner.trustDomain);
  // Whoever knows nothing of a trust domain believes nobody in it.
  return held?.sequence ?? owner.sequence;
}

/** The newest statement that any agent knows. */
function clusters(answers: readonly ListTrustResponse[]): Revocation[] {
  const newest = new Map<string, ListTrustResponse['clusters'][number]>();
  for (const judged of answers.flatMap(answer => answer.clusters)) {
    const known = newest.get(judged.cluster);
    if (known === undefined || known.issuedAtMs < judged.issuedAtMs) {
      newest.set(judged.cluster, judged);
    }
  }
  return [...newest.values()]
    .filter(({ revoked }) => revoked)
    .map(({ cluster, issuedAtMs, reason }) => ({
      kind: 'cluster' as const,
      subject: cluster,
      sinceMs: Number(issuedAtMs),
      reason,
      lacking: answers
        .filter(answer => answer.cluster !== cluster && !knows(answer, cluster, issuedAtMs))
        .map(answer => answer.cluster)
        .sort(),
    }));
}

function knows(answer: ListTrustResponse, cluster: string, issuedAtMs: bigint): boolean {
  return answer.clusters.some(each => each.cluster === cluster && each.issuedAtMs >= issuedAtMs);
}

async function ask(agent: AgentMember): Promise<ListTrustResponse> {
  const channel = await operatorChannel(agent, AgentTrustOperatorDefinition);
  try {
    return await channel.unary(listTrust, {});
  } finally {
    channel.close();
  }
}
