/**
 * Closed-loop load with wrk: each connection sends its next request when it has the last answer, so this
 * measures how much the system can carry. One wrk thread; counting statuses is wrk's own (400 and above).
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bed } from '../systems/system.ts';
import { runTool } from '../tools.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';
import { formatUrl, type HttpTarget } from './target.ts';

export interface ClosedLoad {
  readonly target: HttpTarget;
  readonly connections: number;
  readonly seconds: number;
  /** Sent as they are in place of a request. */
  readonly rawRequest?: Buffer;
  /** A connection for each request. */
  readonly closing?: boolean;
}

const ANSWER_WITHIN_S = 10;

export async function runWrk(
  bed: Bed,
  load: ClosedLoad,
  signal: AbortSignal,
): Promise<LoadOutcome> {
  const script = join(bed.dir, 'report.lua');
  await writeFile(script, load.rawRequest ? REPORT + sendRaw(load.rawRequest) : REPORT);
  const [command, ...args] = [
    ...bed.placement.load,
    'wrk',
    '-t1',
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    `--timeout=${ANSWER_WITHIN_S}s`,
    `-s${script}`,
    `-HHost: ${load.target.hostHeader}`,
    ...(load.closing ? ['-HConnection: close'] : []),
    formatUrl(load.target),
  ];
  return parseWrkReport(await runTool(command, args, load.seconds + ANSWER_WITHIN_S, signal));
}

const REPORT = `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"durationUs":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"p999Us":%d,' ..
      '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50),
    latency:percentile(99), latency:percentile(99.9),
    e.connect, e.read, e.write, e.status, e.timeout))
end
`;

/** wrk asks for one request before it starts, which must be HTTP. */
function sendRaw(bytes: Buffer): string {
  const escaped = [...bytes].map(byte => `\\${String(byte).padStart(3, '0')}`).join('');
  return `local next = "GET / HTTP/1.1\\r\\n\\r\\n"
request = function()
  local this = next
  next = "${escaped}"
  return this
end
`;
}

interface WrkReport {
  readonly requests: number;
  readonly durationUs: number;
  readonly bytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly errors: Readonly<Record<string, number>>;
}

/** The line that our script printed among wrk's own; throws when there is none. */
export function parseWrkReport(output: string): LoadOutcome {
  const line = output.split('\n').findLast(text => text.startsWith('{"requests":'));
  if (line === undefined) throw new Error(`wrk printed no report:\n${output}`);
  const { requests, durationUs, bytes, p50Us, p99Us, p999Us, errors } = JSON.parse(
    line,
  ) as WrkReport;
  const seconds = durationUs / 1e6;
  return {
    count: requests,
    figures: { rps: requests / seconds, mbPerSecond: bytes / 1e6 / seconds, p50Us, p99Us, p999Us },
    failure: failureOf('wrk', requests, errors),
  };
}
