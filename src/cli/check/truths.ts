/**
 * The truths of `isthmus check`: each a sentence about the whole fleet that holds, or does not, with who
 * breaks it, why, and what to do next.
 *
 * Pure: facts in, verdicts out. A process that does not answer breaks the first truth alone, unless
 * others notice its absence: one cause is reported once.
 */

import type { AgentFact, Facts, KnownCluster } from './facts.ts';
import type { Finding } from './finding.ts';
import {
  clocksAgree,
  gatewaysAnswer,
  processesAnswer,
  proxiesCurrent,
  stateDirsPrivate,
  svidsLive,
  versionsCompatible,
} from './process-truths.ts';
import { clustersFresh, leasesHeld, registryReachable } from './registry-truths.ts';

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
    'every gateway answers': gatewaysAnswer,
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

/** A service that another cluster owns. */
const WAITING_NOTICE = 'export-waiting';
/** The one refusal that is about what a cluster exports; the others are about whom to trust. */
const EXPORT_REFUSAL = 'endpoint-of-other-domain';

function exportsAccepted({ agents }: Facts): Finding[] {
  const byCluster = new Map(agents.map(agent => [agent.cluster, agent]));
  return [
    ...agents.flatMap(agent => [
      ...agent.refusals
        .filter(({ kind }) => kind === EXPORT_REFUSAL)
        .map(each => refusal(agent.name, each)),
      ...publicationTaken(agent.name, agent.registry),
      ...agent.clusters.flatMap(known => missingExports(agent, known, byCluster.get(known.name))),
    ]),
    ...exportsWaiting(agents),
  ];
}

/** What the weather does to a publication is said by the truth about the registry. */
const TAKEN_LATER: ReadonlySet<string> = new Set([
  'PEER_UNAVAILABLE',
  'STORE_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'REVISION_CONFLICT',
  'LEASE_NOT_FOUND',
]);

function publicationTaken(subject: string, { publication }: AgentFact['registry']): Finding[] {
  if (publication === undefined || TAKEN_LATER.has(publication.code)) return [];
  return [
    {
      subject,
      cause: `the registry does not take what it publishes (${publication.code}): ${publication.message}`,
      next: 'correct what the message names; the agent tries again by itself. What it published before stays in force',
    },
  ];
}

/** Owner and waiting cluster are both told; it is one finding. */
function exportsWaiting(agents: readonly AgentFact[]): Finding[] {
  const waiting = new Map(
    agents.flatMap(({ registry }) =>
      registry.notices
        .filter(({ kind }) => kind === WAITING_NOTICE)
        .map(({ subject, message }) => [message, subject] as const),
    ),
  );
  return [...waiting].map(([cause, subject]) => ({
    subject,
    cause,
    next: 'approve it, or stop exporting it there; isthmus service list shows who backs what',
  }));
}

/**
 * A stale cluster's exports are as old as it is, one that waits is shown to nobody, and one for others is
 * none of this importer's: the first two are said elsewhere.
 */
function missingExports(
  importer: AgentFact,
  known: KnownCluster,
  exporter: AgentFact | undefined,
): Finding[] {
  if (known.local || known.freshness?.kind === 'stale' || exporter === undefined) return [];
  const seen = new Set(known.exports.map(serviceOf));
  const waiting = new Set(exporter.registry.notices.map(({ subject }) => subject));
  const own = exporter.clusters.find(({ local }) => local)?.exports ?? [];
  const missing = own
    .filter(({ exportTo }) => exportTo === 'all' || exportTo.includes(importer.cluster))
    .map(serviceOf)
    .filter(service => !seen.has(service) && !waiting.has(service));
  if (missing.length === 0) return [];
  return [
    {
      subject: importer.name,
      cause: `does not have ${missing.join(', ')} of cluster "${known.name}"`,
      next: 'if it was exported a moment ago, ask again; else compare /debug/exports of the registry with /debug/clusters of this agent',
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
