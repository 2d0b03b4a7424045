/**
 * A steady open-loop load: requests leave by the clock, whether or not earlier ones have come back,
 * so a stall is seen as what it is. Every request is counted once, as ok or failed, with who served it.
 */

import { Agent, request } from 'node:http';
import type { SocketAddress } from '../../mesh/address.ts';
import { sleep } from '../../runtime/supervise.ts';

export interface Outcome {
  readonly sentMs: number;
  readonly doneMs: number;
  readonly servedBy: string | undefined;
  /** Undefined when it was answered with 200. */
  readonly failure: string | undefined;
}

export interface LoadReport {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  /** Each distinct failure and how often. */
  readonly failures: Readonly<Record<string, number>>;
  readonly servedBy: Readonly<Record<string, number>>;
}

const TICK_MS = 10;
const TIMEOUT_MS = 5_000;

export class SteadyLoad {
  readonly outcomes: Outcome[] = [];
  readonly #outbound: SocketAddress;
  readonly #url: string;
  readonly #perSecond: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(outbound: SocketAddress, url: string, perSecond: number) {
    this.#outbound = outbound;
    this.#url = url;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get inFlight(): number {
    return this.#sent - this.outcomes.length;
  }

  /** Resolves with the first outcome that matches, also among those to come; undefined at the deadline. */
  async first(
    match: (outcome: Outcome) => boolean,
    withinMs: number,
  ): Promise<Outcome | undefined> {
    const deadline = performance.now() + withinMs;
    for (let seen = 0; ; ) {
      for (; seen < this.outcomes.length; seen++) {
        const outcome = this.outcomes[seen];
        if (outcome !== undefined && match(outcome)) return outcome;
      }
      if (performance.now() > deadline) return undefined;
      await sleep(TICK_MS);
    }
  }

  /** Stops sending, waits for what is under way, and counts. */
  async stop(): Promise<LoadReport> {
    clearInterval(this.#timer);
    while (this.inFlight > 0) await sleep(TICK_MS);
    this.#agent.destroy();
    const failed = this.outcomes.filter(outcome => outcome.failure !== undefined);
    return {
      sent: this.#sent,
      ok: this.outcomes.length - failed.length,
      failed: failed.length,
      failures: count(failed.map(outcome => outcome.failure ?? '')),
      servedBy: count(this.outcomes.flatMap(outcome => outcome.servedBy ?? [])),
    };
  }

  #tick(): void {
    const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * this.#perSecond);
    while (this.#sent < due) this.#send();
  }

  #send(): void {
    this.#sent += 1;
    const sentMs = performance.now();
    const { host, port } = this.#outbound;
    let settled = false;
    const settle = (servedBy: string | undefined, failure: string | undefined): void => {
      if (settled) return;
      settled = true;
      this.outcomes.push({ sentMs, doneMs: performance.now(), servedBy, failure });
    };
    const outgoing = request(
      {
        host,
        port,
        path: this.#url,
        headers: { host: new URL(this.#url).host },
        agent: this.#agent,
        timeout: TIMEOUT_MS,
      },
      response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('error', error => settle(undefined, error.message));
        response.on('end', () => {
          const { statusCode } = response;
          if (statusCode === 200)
            settle((JSON.parse(body) as { servedBy: string }).servedBy, undefined);
          else settle(undefined, `status ${statusCode ?? '?'}`);
        });
      },
    );
    outgoing.on('timeout', () =>
      outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)),
    );
    outgoing.on('error', error => settle(undefined, error.message));
    outgoing.end();
  }
}

function count(items: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1;
  return counts;
}
