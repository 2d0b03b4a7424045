/**
 * Says in time that something trusted is going to end: at 30, 7 and 1 days, and when it has. Renewals are
 * not made here; this is what is left to see when one does not happen.
 */

import { type ExpiryStage, expiryStage } from '../../mesh/expiry.ts';
import type { Logger } from '../../runtime/log.ts';
import { sleep as sleepFor } from '../../runtime/supervise.ts';

export interface ExpiringThing {
  /** Closed and short: a metric label. */
  readonly kind: 'root' | 'membership' | 'foreign-root';
  /** Which one, for people. */
  readonly what: string;
  readonly notAfterMs: number;
}

export interface ExpiryWatchOptions {
  readonly things: () => readonly ExpiringThing[];
  readonly log: Logger;
  readonly now: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const CHECK_MS = 3_600_000;

export class ExpiryWatch {
  readonly name = 'expiry-watch';
  readonly #options: ExpiryWatchOptions;
  #told = new Map<string, ExpiryStage>();

  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
  }

  /** When the first thing of each kind ends, epoch milliseconds. */
  soonest(): ReadonlyMap<ExpiringThing['kind'], number> {
    const soonest = new Map<ExpiringThing['kind'], number>();
    for (const { kind, notAfterMs } of this.#options.things()) {
      soonest.set(kind, Math.min(notAfterMs, soonest.get(kind) ?? Infinity));
    }
    return soonest;
  }

  async run(signal: AbortSignal): Promise<void> {
    const sleep = this.#options.sleep ?? sleepFor;
    while (!signal.aborted) {
      this.#look();
      await sleep(CHECK_MS, signal);
    }
  }

  /** Each stage of each thing is told once; what is gone is forgotten. */
  #look(): void {
    const { things, log, now } = this.#options;
    const told = new Map<string, ExpiryStage>();
    for (const { kind, what, notAfterMs } of things()) {
      const stage = expiryStage(notAfterMs, now());
      told.set(what, stage);
      if (stage === 'fine' || this.#told.get(what) === stage) continue;
      const notAfter = new Date(notAfterMs).toISOString();
      log.error({ kind, what, stage, notAfter }, 'trust is about to expire');
    }
    this.#told = told;
  }
}
