/**
 * Probes of other clusters' proxies, the only TLS that this gateway terminates: how many it takes on
 * before anybody is verified, and what it says to them.
 */

import type { Socket } from 'node:net';
import type { AgentLink } from '../cluster-agent/client.ts';
import { RateLimit, RateLimitByCaller } from '../runtime/rate-limit.ts';
import { ProbeResponder } from '../trust-federation/probes/peer-probe-responder.ts';
import {
  ALL_PROBES_BURST_MAX,
  ALL_PROBES_PER_SECOND_MAX,
  PROBE_SOURCES_MAX,
  PROBES_BURST_MAX,
  PROBES_MAX,
  PROBES_PER_SECOND_MAX,
} from './limits.ts';
import type { GatewayMetrics } from './metrics.ts';

export interface ProbesOptions {
  readonly link: Pick<AgentLink, 'identity' | 'bundles'>;
  readonly metrics: GatewayMetrics;
  readonly now: () => number;
}

export class Probes {
  readonly #options: ProbesOptions;
  readonly #responder: ProbeResponder;
  readonly #all: RateLimit;
  readonly #bySource: RateLimitByCaller;

  constructor(options: ProbesOptions) {
    this.#options = options;
    const { link, metrics, now } = options;
    this.#all = new RateLimit(ALL_PROBES_PER_SECOND_MAX, ALL_PROBES_BURST_MAX, now);
    this.#bySource = new RateLimitByCaller(
      {
        perSecond: PROBES_PER_SECOND_MAX,
        burst: PROBES_BURST_MAX,
        callersMax: PROBE_SOURCES_MAX,
      },
      now,
    );
    this.#responder = new ProbeResponder({
      identity: link.identity,
      bundles: link.bundles,
      probesMax: PROBES_MAX,
      onRefused: reason => metrics.refused.inc({ reason }),
      now,
    });
  }

  /** Takes its socket, or says why not. */
  answer(take: () => Socket, hello: Buffer, source: string): 'probe-limit' | undefined {
    // One address cannot use up what all have: its own allowance is asked first.
    const isAllowed = this.#bySource.take(source) && this.#all.take();
    if (!isAllowed || this.#responder.isFull) return 'probe-limit';
    this.#responder.answer(take(), hello);
    this.#options.metrics.probes.inc();
    return undefined;
  }

  drain(): void {
    this.#responder.drain();
  }

  close(): Promise<void> {
    return this.#responder.close();
  }
}
