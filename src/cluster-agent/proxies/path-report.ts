/** What a proxy says of one path, as it travels: ages instead of times, so that clocks need not agree. */

import { formatAddress, parseAddress } from '../../mesh/address.ts';
import { MeshError } from '../../mesh/errors.ts';
import { parseClusterName } from '../../mesh/names.ts';
import { PATH_FAILURES, type PathEvidence, type PathState } from '../../mesh/path.ts';
import type { PathReport } from '../../wire/generated/isthmus/agent/v1/report.ts';

export function formatPath(path: PathEvidence, nowMs: number): PathReport {
  const { cluster, address, state, lastAnswerMs, rttMs } = path;
  const ago = (ms: number): bigint => BigInt(Math.max(0, Math.round(nowMs - ms)));
  return {
    cluster,
    address: formatAddress(address),
    state: state.kind,
    sinceAgoMs: ago(state.sinceMs),
    reason: state.kind === 'down' ? state.reason : '',
    answeringAgoMs: state.kind === 'held' ? ago(state.answeringMs) : 0n,
    lastAnswerAgoMs: lastAnswerMs === undefined ? undefined : ago(lastAnswerMs),
    rttUs: rttMs === undefined ? undefined : Math.round(rttMs * 1_000),
  };
}

/** Throws NAME_INVALID or REQUEST_INVALID. */
export function parsePath(report: PathReport, nowMs: number): PathEvidence {
  const at = (ago: bigint): number => nowMs - Number(ago);
  return {
    cluster: parseClusterName(report.cluster),
    address: parseAddress(report.address),
    state: readState(report, at),
    lastAnswerMs: report.lastAnswerAgoMs === undefined ? undefined : at(report.lastAnswerAgoMs),
    rttMs: report.rttUs === undefined ? undefined : report.rttUs / 1_000,
  };
}

function readState(report: PathReport, at: (ago: bigint) => number): PathState {
  const { state: kind } = report;
  const sinceMs = at(report.sinceAgoMs);
  switch (kind) {
    case 'unknown':
    case 'up':
    case 'draining':
      return { kind, sinceMs };
    case 'held':
      return { kind, sinceMs, answeringMs: at(report.answeringAgoMs) };
    case 'down': {
      const reason = PATH_FAILURES.find(known => known === report.reason);
      if (reason !== undefined) return { kind, sinceMs, reason };
    }
  }
  throw new MeshError('REQUEST_INVALID', `path state "${kind} ${report.reason}" is not known`);
}
