/**
 * The truths about single processes: that they run, are reached, connected and configured, that their
 * certificates live, and that they could work with each other at all. See `truths.ts`.
 */

import { NO_ANSWER } from '../admin-client.ts';
import { formatDuration } from '../text.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';

/** Beyond it, certificates of one process may not be valid yet for another. */
const CLOCKS_APART_MS_MAX = 20_000;
/** Renewal is at half life, give or take a tenth: with less than this left it has failed for a while. */
const SVID_LIFE_LEFT_MIN = 0.3;
/** Where a proxy without an agent has its configuration from. */
const KEPT: Readonly<Record<string, string>> = {
  agent: 'what the agent said last',
  disk: 'what it had on disk',
  none: 'nothing: it has no configuration yet',
};

export function processesAnswer({ processes }: Facts): Finding[] {
  return processes.flatMap(({ name, configFile, admin, problem, says }) => {
    if (problem === undefined) return [];
    const start = `isthmus ${componentOf(name)} --config ${configFile}`;
    const next =
      says !== undefined
        ? `curl http://${admin}/ready; its log says what it waits for`
        : problem.startsWith(NO_ANSWER)
          ? `it is stopped, hung, or behind a closed way: ps and its log say which; kill -CONT it, or end it and start it again: ${start}`
          : `start it: ${start}; if it runs, see its log and whether ${admin} is its admin address`;
    return [{ subject: name, cause: problem, next }];
  });
}

function componentOf(name: string): string {
  const [, part = name] = name.split('/');
  return ['agent', 'gateway', 'registry'].includes(part) ? part : 'sidecar';
}

/** From here, and from every other cluster's data path, which is what counts. */
export function gatewaysAnswer({ gateways, liveness }: Facts, nowMs: number): Finding[] {
  const closed = gateways.filter(({ problem }) => problem !== undefined);
  return [
    ...closed.map(({ name, address, problem }) => ({
      subject: name,
      cause: `${address} takes no connection: ${problem ?? ''}`,
      next: 'start it, or open the way to it; other clusters come in through it alone',
    })),
    ...liveness.flatMap(({ observer, cluster, verdict, sinceMs, pathsAnswering, pathsProbed }) => {
      const isKnown = closed.some(({ name }) => name === `${cluster}/gateway`);
      if (isKnown || verdict === 'serving' || verdict === 'stale') return [];
      const age = formatDuration(nowMs - sinceMs);
      return [
        {
          subject: `${cluster}/gateway`,
          cause: `${observer} has called "${cluster}" ${verdict} for ${age}: ${pathsAnswering} of ${pathsProbed} of its proxies' paths there answer`,
          next: `is it stopped, hung, or is the way from ${observer} to it closed? See /debug/liveness of ${observer}/agent; its calls go elsewhere meanwhile`,
        },
      ];
    }),
  ];
}

export function proxiesCurrent({ agents, proxies }: Facts, nowMs: number): Finding[] {
  return [
    ...proxies.flatMap(({ name, cluster, link }) =>
      link.connected
        ? []
        : [
            {
              subject: name,
              cause: `no agent for ${formatDuration(nowMs - link.sinceMs)}, serving ${KEPT[link.source] ?? 'what it has'}`,
              next: `see ${cluster}/agent and its control address; calls go on meanwhile`,
            },
          ],
    ),
    ...proxies.flatMap(({ name, cluster, held }) =>
      Object.entries(held).map(([upstream, endpoints]) => ({
        subject: name,
        cause: `keeps ${endpoints.length} endpoints of ${upstream} that its agent no longer names`,
        next: `did ${cluster}/agent start with less than it had? Compare its /debug/services and /debug/clusters; calls go on meanwhile`,
      })),
    ),
    ...agents.flatMap(agent =>
      agent.proxies.flatMap(({ name, nack }) =>
        nack === undefined
          ? []
          : [
              {
                subject: `${agent.cluster}/${name}`,
                cause: `refuses its ${nack.type} configuration: ${nack.message}`,
                next: 'it keeps what it had; are proxy and agent of the same version?',
              },
            ],
      ),
    ),
  ];
}

export function svidsLive({ proxies }: Facts, nowMs: number): Finding[] {
  return proxies.flatMap(({ name, cluster, identity }) => {
    const { notBeforeMs, notAfterMs, problem } = identity;
    const leftMs = notAfterMs - nowMs;
    const share = leftMs / (notAfterMs - notBeforeMs);
    const next = `see ${cluster}/agent and the log of ${name}; it renews over the agent's control port`;
    if (leftMs <= 0) {
      return [{ subject: name, cause: `expired ${formatDuration(-leftMs)} ago`, next }];
    }
    if (share < SVID_LIFE_LEFT_MIN) {
      return [{ subject: name, cause: `expires in ${formatDuration(leftMs)}, not renewed`, next }];
    }
    return problem === undefined ? [] : [{ subject: name, cause: problem, next }];
  });
}

export function clocksAgree({ processes }: Facts): Finding[] {
  return processes.flatMap(({ name, aheadMs }) => {
    if (aheadMs === undefined || Math.abs(aheadMs) <= CLOCKS_APART_MS_MAX) return [];
    const side = aheadMs > 0 ? 'ahead of' : 'behind';
    return [
      {
        subject: name,
        cause: `its clock is ${formatDuration(Math.abs(aheadMs))} ${side} this machine's`,
        next: 'let both be set by NTP; certificates are backdated by 60 s and bear no more',
      },
    ];
  });
}

export function versionsCompatible({ processes }: Facts): Finding[] {
  const lines = new Map<string, string[]>();
  for (const { name, says } of processes) {
    if (says === undefined) continue;
    const line = says.version.split('.').slice(0, 2).join('.');
    lines.set(line, [...(lines.get(line) ?? []), name]);
  }
  const [common, ...others] = [...lines].sort(([, a], [, b]) => b.length - a.length);
  return [
    ...others.flatMap(([line, names]) =>
      names.map(name => ({
        subject: name,
        cause: `runs ${line}, most run ${common?.[0] ?? ''}`,
        next: 'upgrade agents before proxies, and the registry first',
      })),
    ),
    ...processes.flatMap(({ name, says }) =>
      (says?.warnings ?? []).map(cause => ({
        subject: name,
        cause,
        next: 'install the Node.js it names and restart the process',
        warning: true as const,
      })),
    ),
  ];
}

export function stateDirsPrivate({ processes }: Facts): Finding[] {
  return processes.flatMap(({ name, says }) =>
    says?.stateDirProblem === undefined
      ? []
      : [
          {
            subject: name,
            cause: says.stateDirProblem,
            next: `chmod -R go-rwx "${says.stateDir}"; consider its keys known`,
          },
        ],
  );
}
