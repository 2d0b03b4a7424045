/**
 * The conversations of one listener, whose timeouts are looked at together: a timer for each would cost
 * every request. While there are none nothing is looked at, so an idle sidecar sleeps.
 */

import { contain } from '../../runtime/faults.ts';
import { SWEEP_MS } from '../limits.ts';
import type { Conversation } from './conversation.ts';

export class Conversations {
  readonly #now: () => number;
  readonly #open = new Set<Conversation>();
  #sweeping: NodeJS.Timeout | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Until it is over. */
  add(conversation: Conversation): void {
    this.#open.add(conversation);
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** Those that wait for a request end, the others after the one being served. */
  drain(): void {
    for (const conversation of this.#open) conversation.drain();
  }

  cut(): void {
    for (const conversation of this.#open) conversation.cut();
  }

  #sweep(): void {
    const nowMs = this.#now();
    for (const conversation of this.#open) {
      if (conversation.over) this.#open.delete(conversation);
      else {
        contain(
          () => conversation.sweep(nowMs),
          () => conversation.cut(),
        );
      }
    }
    if (this.#open.size > 0) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }
}
