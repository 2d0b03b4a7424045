/** How much one cluster keeps in the table, counted as its rows come and go. */

import type { ServiceKey } from '../../mesh/names.ts';
import { keyOf } from '../../mesh/service.ts';
import type { KeptRecord } from './kept-record.ts';

export interface Totals {
  readonly records: number;
  readonly services: number;
  readonly endpoints: number;
  /** As stored. */
  readonly bytes: number;
}

/** A record and its size in the store. */
export interface Stored {
  readonly record: KeptRecord;
  readonly bytes: number;
}

export class Usage {
  #records = 0;
  #endpoints = 0;
  #bytes = 0;
  /** Slices of each service. */
  readonly #services = new Map<ServiceKey, number>();

  get totals(): Totals {
    return {
      records: this.#records,
      services: this.#services.size,
      endpoints: this.#endpoints,
      bytes: this.#bytes,
    };
  }

  change(removed: readonly Stored[], added: readonly Stored[]): void {
    const { records, endpoints, bytes } = this.after(removed, added);
    for (const [service, count] of this.#slicesAfter(removed, added)) {
      if (count === 0) this.#services.delete(service);
      else this.#services.set(service, count);
    }
    this.#records = records;
    this.#endpoints = endpoints;
    this.#bytes = bytes;
  }

  /** What it would be. */
  after(removed: readonly Stored[], added: readonly Stored[]): Totals {
    const slices = this.#slicesAfter(removed, added);
    const appear = [...slices].filter(([key, count]) => count > 0 && !this.#services.has(key));
    const vanish = [...slices].filter(([key, count]) => count === 0 && this.#services.has(key));
    return {
      records: this.#records + added.length - removed.length,
      services: this.#services.size + appear.length - vanish.length,
      endpoints: this.#endpoints + endpointsOf(added) - endpointsOf(removed),
      bytes: this.#bytes + bytesOf(added) - bytesOf(removed),
    };
  }

  /** Of the services that change. */
  #slicesAfter(removed: readonly Stored[], added: readonly Stored[]): Map<ServiceKey, number> {
    const slices = new Map<ServiceKey, number>();
    const count = (stored: readonly Stored[], by: number): void => {
      for (const { record } of stored) {
        if (record.kind !== 'export-slice') continue;
        const key = keyOf(record.slice);
        slices.set(key, (slices.get(key) ?? this.#services.get(key) ?? 0) + by);
      }
    };
    count(removed, -1);
    count(added, 1);
    return slices;
  }
}

function endpointsOf(stored: readonly Stored[]): number {
  return stored.reduce(
    (sum, { record }) => sum + (record.kind === 'export-slice' ? record.slice.endpoints : 0),
    0,
  );
}

function bytesOf(stored: readonly Stored[]): number {
  return stored.reduce((sum, { bytes }) => sum + bytes, 0);
}
