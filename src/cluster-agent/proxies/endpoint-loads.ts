/**
 * The load of this cluster's endpoints, from what their sidecars report: coarse and seldom to change
 * (`mesh/load.ts`), since every change is a record that every cluster reads. Of a sidecar that has gone
 * silent nothing is said; so of one without a capacity.
 */

import { type Collection, Table } from '../../mesh/collection.ts';
import { nextLoad, type ToldLoad } from '../../mesh/load.ts';
import type { ServiceKey, WorkloadName } from '../../mesh/names.ts';
import type { LocalService } from '../../mesh/service.ts';
import { sleep } from '../../runtime/supervise.ts';
import { LOAD_LOOK_MS, REPORT_SILENCE_MS } from '../limits.ts';
import type { ProxyKey, ProxyReport } from './proxy-reports.ts';

/** `<namespace>/<service> <workload>`. */
export type LoadKey = string;

export interface EndpointLoadsOptions {
  readonly services: Collection<ServiceKey, LocalService>;
  readonly reports: Collection<ProxyKey, ProxyReport>;
  readonly now: () => number;
}

export class EndpointLoads {
  readonly name = 'endpoint-loads';
  /** Percent of capacity. */
  readonly loads = new Table<LoadKey, number>('endpoint-loads');
  readonly #options: EndpointLoadsOptions;
  #told: ReadonlyMap<LoadKey, ToldLoad> = new Map();

  constructor(options: EndpointLoadsOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.look();
      await sleep(LOAD_LOOK_MS, signal);
    }
  }

  look(): void {
    const { services, reports, now } = this.#options;
    const nowMs = now();
    const byIdentity = new Map<string, ProxyReport>();
    for (const report of reports.entries().values()) {
      if (nowMs - report.atMs < REPORT_SILENCE_MS) {
        byIdentity.set(`${report.spiffeId} ${report.proxy}`, report);
      }
    }
    const told = new Map<LoadKey, ToldLoad>();
    for (const [service, { endpoints }] of services.entries()) {
      for (const { workload, spiffeId, capacity } of endpoints) {
        const report = byIdentity.get(`${spiffeId} ${workload}`);
        const inFlight = report?.loads.find(load => load.service === service)?.inFlight;
        if (capacity === undefined || inFlight === undefined) continue;
        const key = loadKey(service, workload);
        told.set(key, nextLoad(this.#told.get(key), { inFlight, capacity }, nowMs));
      }
    }
    this.#told = told;
    this.loads.replaceAll([...told].map(([key, { load }]) => [key, load]));
  }
}

export function loadKey(service: ServiceKey, workload: WorkloadName): LoadKey {
  return `${service} ${workload}`;
}
