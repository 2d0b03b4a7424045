/** The intents in force at this moment: computed anew when they change, and when time changes them. */

import type { Collection } from '../mesh/collection.ts';
import type { Intent, IntentKey } from '../mesh/intent.ts';
import { type Steering, steeringAt } from '../mesh/steering.ts';
import type { Logger } from '../runtime/log.ts';
import { Signal } from './signal.ts';

export interface SteeringSourceOptions {
  readonly intents: Collection<IntentKey, Intent>;
  readonly log: Logger;
  readonly now: () => number;
}

/** Longest that a timer is trusted: the wall clock may be set in the meantime. */
const CLOCK_CHECK_MS = 60_000;

export class SteeringSource {
  readonly name = 'steering';
  readonly #options: SteeringSourceOptions;
  readonly #observers = new Set<() => void>();
  readonly #intentsChanged = new Signal();
  #steering: Steering;

  constructor(options: SteeringSourceOptions) {
    this.#options = options;
    this.#steering = steeringAt(options.intents.entries().values(), options.now());
  }

  current(): Steering {
    return this.#steering;
  }

  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { intents, now } = this.#options;
    const stop = intents.observe(() => this.#intentsChanged.raise());
    try {
      while (!signal.aborted) {
        this.#look();
        const { nextChangeMs } = this.#steering;
        const waitMs = nextChangeMs === undefined ? undefined : nextChangeMs - now();
        await this.#intentsChanged.wait(
          signal,
          waitMs === undefined ? undefined : Math.min(Math.max(waitMs, 1), CLOCK_CHECK_MS),
        );
      }
    } finally {
      stop();
    }
  }

  #look(): void {
    const { intents, log, now } = this.#options;
    const before = this.#steering;
    this.#steering = steeringAt(intents.entries().values(), now());
    if (same(before, this.#steering)) return;
    const { availability, failovers } = this.#steering;
    log.info(
      { drained: Object.fromEntries(availability), failovers: Object.fromEntries(failovers) },
      'steering changed',
    );
    for (const observer of [...this.#observers]) observer();
  }
}

function same(a: Steering, b: Steering): boolean {
  return sameMap(a.availability, b.availability) && sameMap(a.failovers, b.failovers);
}

function sameMap<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
