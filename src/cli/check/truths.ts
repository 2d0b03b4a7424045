/**
 * The truths of `isthmus check`: each a sentence about the whole fleet that holds, or does not, with who
 * breaks it, why, and what to do next.
 *
 * Pure: facts in, verdicts out. A process that does not answer breaks the first truth alone, unless
 * others notice its absence: one cause is reported once.
 */

import { formatDuration } from '../text.ts';
import type { AgentFact, Facts, KnownCluster } from './facts.ts';
import {
  clocksAgree,
  gatewaysAnswer,
  processesAnswer,
  proxiesCurrent,
  stateDirsPrivate,
  svidsLive,
  versionsCompatible,
} from './process-truths.ts';

export interface Finding {
  /** Which process or cluster. */
  readonly subject: string;
  readonly cause: string;
  readonly next: string;
  /** It should be otherwise, but the truth holds. */
  readonly warning?: true;
}

export interface Truth {
  readonly name: string;
  readonly holds: boolean;
  readonly findings: readonly Finding[];
}

export function judge(facts: Facts, nowMs: number): Truth[] {
  const truths: Record<string, (facts: Facts, nowMs: number) => Finding[]> = {
    'every process answers and is ready': processesAnswer,
    'the registry is reachable and follows its store': registryReachable,
    'every agent holds its lease': leasesHeld,
    'every agent knows every other cluster, freshly': clustersFresh,
    'every bundle is the newest, everywhere': bundlesFresh,
    'exports are accepted': exportsAccepted,
    'every gateway takes connections': gatewaysAnswer,
    'every proxy is connected and refuses nothing': proxiesCurrent,
    'no certificate is near its end': svidsLive,
    'clocks agree': clocksAgree,
    'versions are compatible and supported': versionsCompatible,
    'state directories are private': stateDirsPrivate,
  };
  const running = withoutAbsentClusters(facts);
  return Object.entries(truths).map(([name, find]) => {
    const findings = find(running, nowMs);
    return { name, holds: findings.every(({ warning }) => warning === true), findings };
  });
}

/** Clusters that the configuration knows but of which nothing runs and nobody has heard. */
export function absentClusters({ processes, agents }: Facts): string[] {
  const all = new Set(processes.flatMap(({ cluster }) => cluster ?? []));
  const heardOf = new Set(agents.flatMap(({ clusters }) => clusters.map(({ name }) => name)));
  return [...all].filter(
    name =>
      !heardOf.has(name) &&
      processes.every(({ cluster, says }) => cluster !== name || says === undefined),
  );
}

function withoutAbsentClusters(facts: Facts): Facts {
  const absent = new Set(absentClusters(facts));
  const runs = ({ name }: { readonly name: string }): boolean =>
    !absent.has(name.split('/')[0] ?? '');
  return {
    ...facts,
    processes: facts.processes.filter(runs),
    gateways: facts.gateways.filter(runs),
  };
}

function registryReachable({ stores, agents }: Facts, nowMs: number): Finding[] {
  return [
    ...stores.flatMap(({ registry, kind, outage }) =>
      outage === undefined
        ? []
        : [
            {
              subject: registry,
              cause: `it lost its store (${kind}): ${outage}`,
              next:
                kind === 'etcd'
                  ? 'etcdctl endpoint status on each member; writes wait until a quorum answers'
                  : 'see its log; the store is under <stateDir>/store',
            },
          ],
    ),
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

function leasesHeld({ agents }: Facts, nowMs: number): Finding[] {
  return agents.flatMap(({ name, registry }) => {
    const expires = registry.leaseExpiresMs;
    if (expires !== undefined && expires > nowMs) return [];
    const cause =
      expires === undefined
        ? 'it has no lease'
        : `it ran out ${formatDuration(nowMs - expires)} ago`;
    return [
      {
        subject: name,
        cause: `${cause}${registry.publishProblem === undefined ? '' : `: ${registry.publishProblem}`}`,
        next: 'the agent asks for another as soon as a registry takes writes; until then the others serve this cluster as stale',
      },
    ];
  });
}

function clustersFresh({ agents }: Facts, nowMs: number): Finding[] {
  return agents.flatMap(({ name, clusters, registry }) =>
    clusters.flatMap(({ name: cluster, local, freshness }): Finding[] => {
      // While this agent has no registry everything it knows is stale, which is said above.
      if (local || !registry.connected || freshness?.kind !== 'stale') return [];
      const age = formatDuration(nowMs - freshness.sinceMs);
      return [
        {
          subject: name,
          cause: `cluster "${cluster}" is stale for ${age}: ${freshness.reason}`,
          next: `see ${cluster}/agent: is it running, and does it reach a registry?`,
        },
      ];
    }),
  );
}

function bundlesFresh({ agents, proxies }: Facts): Finding[] {
  const newest = new Map<string, number>();
  for (const { bundle } of agents.flatMap(({ clusters }) =>
    clusters.filter(({ local }) => local),
  )) {
    if (bundle !== undefined) newest.set(bundle.trustDomain, bundle.sequence);
  }
  const behind = (
    subject: string,
    { trustDomain, sequence }: NonNullable<KnownCluster['bundle']>,
    next: string,
  ): Finding[] => {
    const latest = newest.get(trustDomain) ?? sequence;
    if (sequence >= latest) return [];
    return [
      { subject, cause: `holds bundle ${sequence} of "${trustDomain}", not ${latest}`, next },
    ];
  };
  return [
    ...agents.flatMap(({ name, clusters }) =>
      clusters.flatMap(({ bundle }) =>
        bundle === undefined
          ? []
          : behind(name, bundle, 'it comes with the registry watch; see whether the agent has one'),
      ),
    ),
    ...agents.flatMap(({ name, refusals }) =>
      refusals.filter(({ kind }) => kind !== EXPORT_REFUSAL).map(each => refusal(name, each)),
    ),
    ...proxies.flatMap(({ name, bundles }) =>
      bundles.flatMap(each =>
        behind(name, each, "it comes with the agent's stream; see whether the proxy has one"),
      ),
    ),
  ];
}

/** The one refusal that is about what a cluster exports; the others are about whom to trust. */
const EXPORT_REFUSAL = 'endpoint-of-other-domain';

function exportsAccepted({ agents }: Facts): Finding[] {
  const byCluster = new Map(agents.map(agent => [agent.cluster, agent]));
  return agents.flatMap(({ name, clusters, registry, refusals }) => [
    ...refusals.filter(({ kind }) => kind === EXPORT_REFUSAL).map(each => refusal(name, each)),
    ...(registry.publishProblem === undefined
      ? []
      : [
          {
            subject: name,
            cause: `the registry does not take what it publishes: ${registry.publishProblem}`,
            next: 'correct what the message names; the agent tries again by itself',
          },
        ]),
    ...clusters.flatMap(known => missingExports(name, known, byCluster.get(known.name))),
  ]);
}

/** A stale cluster's exports are as old as it is, which is said elsewhere. */
function missingExports(
  importer: string,
  known: KnownCluster,
  exporter: AgentFact | undefined,
): Finding[] {
  if (known.local || known.freshness?.kind === 'stale' || exporter === undefined) return [];
  const seen = new Set(known.exports.map(serviceOf));
  const own = exporter.clusters.find(({ local }) => local)?.exports ?? [];
  const missing = own.map(serviceOf).filter(service => !seen.has(service));
  if (missing.length === 0) return [];
  return [
    {
      subject: importer,
      cause: `does not have ${missing.join(', ')} of cluster "${known.name}"`,
      next: 'if it was exported a moment ago, ask again; else see whether it is exported to this cluster and who owns the name: isthmus service list',
    },
  ];
}

function serviceOf({ namespace, name }: { readonly namespace: string; readonly name: string }) {
  return `${namespace}/${name}`;
}

function refusal(name: string, { cluster, kind, message }: AgentFact['refusals'][number]): Finding {
  return {
    subject: name,
    cause: `refuses what cluster "${cluster}" says (${kind}): ${message}`,
    next: `what it said before stays in force; correct it at ${cluster}, or find out who speaks in its name`,
  };
}
