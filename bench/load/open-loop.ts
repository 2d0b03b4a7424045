/**
 * Open-loop load: requests are due by the clock, and latency counts from the moment one was due, not
 * from when it could be sent. A stall is paid by every request that fell due in it (what coordinated
 * omission hides). HTTP/1.1 over keep-alive connections, one request at a time on each.
 *
 * It turns without sleeping: timers of a millisecond are too coarse for what is measured here. So it must
 * be started as `Placement.spinningLoad` says, to leave the CPU to whoever else wants it.
 */

import { latencyFigures } from '../figures.ts';
import { HttpConnection } from './http-connection.ts';
import { failureOf, type LoadOutcome } from './outcome.ts';
import type { HttpTarget } from './target.ts';

export interface OpenLoop {
  readonly target: HttpTarget;
  readonly ratePerSecond: number;
  readonly connections: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** A system that is further behind than this when the run ends will not catch up: no more is sent. */
const BEHIND_MAX_MS = 500;
/** For answers still under way then. */
const DRAIN_MS = 5_000;

export async function runOpenLoop(job: OpenLoop): Promise<LoadOutcome> {
  const { target, connections, measureMs } = job;
  const everyMs = 1000 / job.ratePerSecond;
  const firstCounted = Math.round(job.warmUpMs / everyMs);
  const total = firstCounted + Math.round(measureMs / everyMs);
  const errors = new Map<string, number>();
  const latenciesMs: number[] = [];
  let sent = 0;
  let answered = 0;
  let answeredInTime = 0;

  const idle = await Promise.all(
    Array.from({ length: connections }, () => HttpConnection.open(target)),
  );
  const all = [...idle];
  for (const connection of all) {
    connection.onAnswer = (request, atMs) => {
      answered += 1;
      if (atMs >= dueMs(firstCounted) && atMs < dueMs(total)) answeredInTime += 1;
      if (request >= firstCounted) latenciesMs.push(atMs - dueMs(request));
      idle.push(connection);
    };
    connection.onError = kind => void errors.set(kind, (errors.get(kind) ?? 0) + 1);
  }

  const startMs = performance.now();
  const dueMs = (request: number): number => startMs + request * everyMs;
  const giveUpMs = dueMs(total) + BEHIND_MAX_MS;
  await new Promise<void>(resolve => {
    const turn = (): void => {
      const nowMs = performance.now();
      while (sent < total && dueMs(sent) <= nowMs && nowMs < giveUpMs) {
        const connection = idle.pop();
        if (connection === undefined) break; // Due and unsent: its latency is running.
        connection.send(sent);
        sent += 1;
      }
      const done = answered === sent && (sent === total || nowMs >= giveUpMs);
      if (done || errors.size > 0 || nowMs > giveUpMs + DRAIN_MS) resolve();
      else setImmediate(turn);
    };
    turn();
  });
  for (const connection of all) connection.destroy();
  if (answered < sent && errors.size === 0) errors.set('unanswered', sent - answered);

  // Those never sent had waited at least until then.
  for (let request = Math.max(sent, firstCounted); request < total; request++) {
    latenciesMs.push(giveUpMs - dueMs(request));
  }
  return {
    count: answered,
    // Below the rate when the system could not keep up with it.
    figures: { rps: (answeredInTime / measureMs) * 1000, ...latencyFigures(latenciesMs) },
    failure: failureOf('open loop', answered, Object.fromEntries(errors)),
  };
}
