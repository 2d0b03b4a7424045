/** Timeouts of conversations, looked through together: a timer for each would cost every request. */

import { contain } from '../../runtime/faults.ts';
import { SWEEP_MS } from '../limits.ts';
import type { Conversation } from './conversation.ts';

/** Forgets those that are over. Returns the way to stop. */
export function sweepEvery(conversations: Set<Conversation>, now: () => number): () => void {
  const sweep = setInterval(() => {
    const nowMs = now();
    for (const conversation of conversations) {
      if (conversation.over) conversations.delete(conversation);
      else {
        contain(
          () => conversation.sweep(nowMs),
          () => conversation.cut(),
        );
      }
    }
  }, SWEEP_MS);
  sweep.unref();
  return () => clearInterval(sweep);
}
