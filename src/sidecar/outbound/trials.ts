/**
 * How what is out of service comes back: the sidecar itself opens a stream there, with the handshake and the
 * CONNECT that a call would need, until one is answered. No call of the application is spent on finding
 * out, and the stream waits for the first one.
 */

import { afterFault } from '../../runtime/faults.ts';
import { aborted } from '../../runtime/supervise.ts';
import { HEALTH_TICK_MS, TRIALS_MAX } from '../limits.ts';
import type { Caller } from './caller.ts';
import type { Way } from './members.ts';
import type { Rotation } from './rotation.ts';
import type { Rotations } from './rotations.ts';

export interface TrialsOptions {
  readonly rotations: Rotations;
  readonly caller: Caller;
  readonly now: () => number;
}

export class Trials {
  readonly name = 'trials';
  readonly #options: TrialsOptions;
  #running = 0;

  constructor(options: TrialsOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const tick = setInterval(() => this.#tick(signal), HEALTH_TICK_MS);
    await aborted(signal);
    clearInterval(tick);
  }

  #tick(signal: AbortSignal): void {
    const nowMs = this.#options.now();
    for (const rotation of this.#options.rotations.all()) {
      rotation.tick(nowMs);
      for (const way of rotation.trialsDue(nowMs)) {
        const isOnTrial = way.gateway?.reach.kind === 'out' ? way.gateway.isOnTrial : way.isOnTrial;
        if (this.#running < TRIALS_MAX && !isOnTrial) {
          this.#try(rotation, way, signal).catch((error: unknown) =>
            afterFault(error, () => undefined),
          );
        }
      }
    }
  }

  async #try(rotation: Rotation, way: Way, signal: AbortSignal): Promise<void> {
    const trials = way.gateway?.reach.kind === 'out' ? [way, way.gateway] : [way];
    this.#running++;
    for (const each of trials) each.isOnTrial = true;
    const attempt = await this.#options.caller.open(way, rotation.authority, signal);
    for (const each of trials) each.isOnTrial = false;
    this.#running--;
    if (attempt.kind === 'reached') attempt.stream.session.giveBack(attempt.stream);
    if (attempt.kind !== 'failed') rotation.reached(way);
    else if (!signal.aborted) rotation.failed(way, attempt.fault);
  }
}
