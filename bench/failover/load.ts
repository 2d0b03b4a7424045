/**
 * Requests that leave by the clock, whatever became of those before, each counted once: how long it took,
 * who answered and by which gateway. One in ten is a POST, which nobody may send twice.
 */

import { Agent, request } from 'node:http';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { sleep } from '../../src/runtime/supervise.ts';

export interface Outcome {
  readonly isIdempotent: boolean;
  readonly sentMs: number;
  readonly doneMs: number;
  readonly servedBy: string | undefined;
  /** `host:port` of the gateway, or of the sidecar where there is none on the way. */
  readonly through: string | undefined;
  /** Undefined when it was answered with 200. */
  readonly failure: string | undefined;
}

const TICK_MS = 5;
/** What has no answer by then has failed. */
const TIMEOUT_MS = 5_000;

export class Load {
  readonly outcomes: Outcome[] = [];
  readonly #to: SocketAddress;
  readonly #host: string;
  readonly #perSecond: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #sent = 0;

  constructor(to: SocketAddress, host: string, perSecond: number) {
    this.#to = to;
    this.#host = host;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  get sent(): number {
    return this.#sent;
  }

  /** The first outcome that matches, of those there are and those to come; undefined at the deadline. */
  async first(match: (o: Outcome) => boolean, withinMs: number): Promise<Outcome | undefined> {
    const deadline = performance.now() + withinMs;
    for (let seen = 0; performance.now() < deadline; ) {
      for (; seen < this.outcomes.length; seen++) {
        const outcome = this.outcomes[seen];
        if (outcome !== undefined && match(outcome)) return outcome;
      }
      await sleep(TICK_MS);
    }
    return undefined;
  }

  /** Stops sending and waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.outcomes.length < this.#sent) await sleep(TICK_MS);
    this.#agent.destroy();
  }

  /** One request whose body takes this long to send; resolves to whether it was answered. */
  slowUpload(forMs: number): Promise<boolean> {
    return new Promise(resolve => {
      const outgoing = request(
        { ...this.#to, method: 'POST', headers: { host: this.#host } },
        response => {
          response.resume();
          response.on('end', () => resolve(response.statusCode === 200));
          response.on('error', () => resolve(false));
        },
      );
      outgoing.on('error', () => resolve(false));
      const trickle = setInterval(() => {
        outgoing.write('x'.repeat(1_000));
      }, 100);
      setTimeout(() => {
        clearInterval(trickle);
        outgoing.end();
      }, forMs);
    });
  }

  #tick(): void {
    const due = Math.floor(((performance.now() - this.#startedMs) / 1000) * this.#perSecond);
    while (this.#sent < due) this.#send();
  }

  #send(): void {
    const isIdempotent = this.#sent % 10 !== 0;
    this.#sent += 1;
    const sentMs = performance.now();
    let isSettled = false;
    let through: string | undefined;
    const settle = (servedBy: string | undefined, failure: string | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(deadline);
      const doneMs = performance.now();
      this.outcomes.push({ isIdempotent, sentMs, doneMs, servedBy, through, failure });
    };
    const headers = { host: this.#host, 'x-isthmus-explain': '1' };
    const method = isIdempotent ? 'GET' : 'POST';
    const outgoing = request({ ...this.#to, agent: this.#agent, method, headers }, response => {
      through = /address=([^;]+)/.exec(String(response.headers['x-isthmus-upstream']))?.[1];
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('error', error => settle(undefined, error.message));
      response.on('end', () => {
        const { statusCode } = response;
        if (statusCode !== 200) settle(undefined, `status ${statusCode ?? '?'}`);
        else settle((JSON.parse(body) as { servedBy: string }).servedBy, undefined);
      });
    });
    const deadline = setTimeout(
      () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)),
      TIMEOUT_MS,
    );
    outgoing.on('error', error => settle(undefined, error.message));
    outgoing.end();
  }
}
