/**
 * The truths about the registry: that it is reached and follows its store, that agents hold their leases
 * there, and that what they know of each other through it is fresh. See `truths.ts`.
 */

import type { StaleReason } from '../../mesh/cluster.ts';
import { formatDuration } from '../text.ts';
import type { AgentFact, Facts } from './facts.ts';
import type { Finding } from './finding.ts';

/** Another agent claims to be the same cluster. */
const RIVAL_NOTICE = 'rival-instance';

const WHY_STALE: Readonly<Record<StaleReason, string>> = {
  'lease-expired': 'its agent has let its lease run out',
  'registry-unreachable': 'this agent hears no registry',
  'loaded-from-disk': 'known from disk alone',
};

export function registryReachable({ stores, agents }: Facts, nowMs: number): Finding[] {
  return [
    ...stores.flatMap(storeFollowed),
    ...agents.flatMap(({ name, registry }) =>
      registry.connected
        ? []
        : [
            {
              subject: name,
              cause: `no registry for ${formatDuration(nowMs - registry.sinceMs)}: ${registry.problem ?? 'it has not answered yet'}`,
              next: 'check that a registry runs, that the addresses under `registry` in agent.yaml are right, and what lies between; calls go on meanwhile',
            },
          ],
    ),
  ];
}

function storeFollowed({ registry, kind, outage, frozen }: Facts['stores'][number]): Finding[] {
  if (frozen !== undefined) {
    return [
      {
        subject: registry,
        cause: `frozen, and takes no writes: ${frozen}`,
        next: 'put the newer data back; or, if what the store holds now is to count: isthmus unfreeze',
      },
    ];
  }
  if (outage === undefined) return [];
  return [
    {
      subject: registry,
      cause: `it does not follow its store (${kind}): ${outage}`,
      next:
        kind === 'etcd'
          ? 'etcdctl endpoint status on each member; reads go on, writes wait until a quorum answers'
          : 'see its log; the store is under <stateDir>/store',
    },
  ];
}

export function leasesHeld({ agents }: Facts, nowMs: number): Finding[] {
  return agents.flatMap(({ name, registry }) => [
    ...leaseHeld(name, registry, nowMs),
    ...registry.notices
      .filter(({ kind }) => kind === RIVAL_NOTICE)
      .map(({ message }) => ({
        subject: name,
        cause: message,
        next: 'the registry keeps to this agent; isthmus audit says who was refused, and when',
      })),
  ]);
}

function leaseHeld(
  subject: string,
  { leaseExpiresMs, publication }: AgentFact['registry'],
  nowMs: number,
): Finding[] {
  if (leaseExpiresMs !== undefined && leaseExpiresMs > nowMs) return [];
  const cause =
    leaseExpiresMs === undefined
      ? 'it has no lease'
      : `its lease ran out ${formatDuration(nowMs - leaseExpiresMs)} ago`;
  return [
    {
      subject,
      cause: publication === undefined ? cause : `${cause}: ${publication.message}`,
      next: 'it asks for another as soon as a registry takes writes; until then the others serve this cluster as stale',
    },
  ];
}

export function clustersFresh({ agents }: Facts, nowMs: number): Finding[] {
  return agents.flatMap(({ name, clusters, registry }) =>
    clusters.flatMap(({ name: cluster, local, freshness }): Finding[] => {
      // While this agent has no registry everything it knows is stale, which is said above.
      if (local || !registry.connected || freshness?.kind !== 'stale') return [];
      const age = formatDuration(nowMs - freshness.sinceMs);
      return [
        {
          subject: name,
          cause: `cluster "${cluster}" is stale for ${age}: ${WHY_STALE[freshness.reason]}`,
          next: `see ${cluster}/agent: is it running, and does it reach a registry? What it exported is served meanwhile`,
        },
      ];
    }),
  );
}
