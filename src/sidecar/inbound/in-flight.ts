/**
 * How many requests are in flight at this workload's application, of each of its services: the average
 * since it was last asked for, which a moment's look would only guess at. Connections of TCP services
 * count as requests.
 */

import type { ServiceLoad } from '../../cluster-agent/client.ts';
import type { ServiceKey } from '../../mesh/names.ts';

export class InFlight {
  readonly #meters: ReadonlyMap<ServiceKey, Meter>;

  constructor(services: readonly ServiceKey[], nowMs: number) {
    this.#meters = new Map(services.map(service => [service, new Meter(nowMs)]));
  }

  /** Of a service of this workload. */
  of(service: ServiceKey): Meter {
    const meter = this.#meters.get(service);
    if (meter === undefined) throw new Error(`"${service}" is no service of this workload`);
    return meter;
  }

  takeAverages(nowMs: number): ServiceLoad[] {
    return [...this.#meters].map(([service, meter]) => ({
      service,
      inFlight: meter.takeAverage(nowMs),
    }));
  }
}

export class Meter {
  #count = 0;
  /** Requests times milliseconds since `#sinceMs`, up to `#atMs`. */
  #area = 0;
  #sinceMs: number;
  #atMs: number;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#atMs = nowMs;
  }

  enter(nowMs: number): void {
    this.#advance(nowMs);
    this.#count++;
  }

  leave(nowMs: number): void {
    this.#advance(nowMs);
    this.#count--;
  }

  takeAverage(nowMs: number): number {
    this.#advance(nowMs);
    const overMs = nowMs - this.#sinceMs;
    const average = overMs > 0 ? this.#area / overMs : this.#count;
    this.#area = 0;
    this.#sinceMs = nowMs;
    return average;
  }

  #advance(nowMs: number): void {
    if (nowMs > this.#atMs) this.#area += this.#count * (nowMs - this.#atMs);
    this.#atMs = nowMs;
  }
}
