/** How much of each cluster's calls goes elsewhere for its load, worked out anew every second. */

import type { Collection } from '../mesh/collection.ts';
import type { ImportedService } from '../mesh/imports.ts';
import { NO_SPILL, nextSpill, type Spill, utilisationOf } from '../mesh/load-spill.ts';
import type { ClusterName, ServiceKey } from '../mesh/names.ts';
import { type SpillKey, type Spills, spillKey } from '../mesh/outbound.ts';
import type { Logger } from '../runtime/log.ts';
import { sleep } from '../runtime/supervise.ts';
import { LOAD_LOOK_MS } from './limits.ts';

export interface SpillSourceOptions {
  readonly imports: Collection<ServiceKey, ImportedService>;
  /** Whether what is known of a cluster is as it is now. */
  readonly isCurrent: (cluster: ClusterName) => boolean;
  readonly log: Logger;
  readonly now: () => number;
}

export class SpillSource {
  readonly name = 'spill';
  readonly #options: SpillSourceOptions;
  readonly #observers = new Set<() => void>();
  #states: ReadonlyMap<SpillKey, Spill> = new Map();
  #spills: Spills = new Map();

  constructor(options: SpillSourceOptions) {
    this.#options = options;
  }

  current(): Spills {
    return this.#spills;
  }

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await sleep(LOAD_LOOK_MS, signal);
    }
  }

  look(): void {
    const { imports, isCurrent, log, now } = this.#options;
    const states = new Map<SpillKey, Spill>();
    let hasChanged = false;
    for (const [service, { endpoints }] of imports.entries()) {
      for (const [cluster, utilisation] of utilisationOf(endpoints, isCurrent)) {
        const key = spillKey(service, cluster);
        const before = this.#states.get(key) ?? NO_SPILL;
        const after = nextSpill(before, utilisation, now());
        if (after !== NO_SPILL) states.set(key, after);
        if (after.percent === before.percent) continue;
        hasChanged = true;
        log.info({ service, cluster, percent: after.percent, ...utilisation }, 'spill changed');
      }
    }
    hasChanged ||= [...this.#spills.keys()].some(key => !states.has(key));
    this.#states = states;
    if (!hasChanged) return;
    this.#spills = new Map([...states].map(([key, { percent }]) => [key, percent]));
    for (const observer of [...this.#observers]) observer();
  }
}
