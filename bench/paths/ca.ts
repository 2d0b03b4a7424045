/**
 * What an agent's authority signs from end to end: gRPC over mTLS, the identity of the certificate, the
 * request's own signature, the new certificate, the record of it.
 */

import { runGenerator } from '../load/outcome.ts';
import type { RenewalLoad } from '../load/renewals.ts';
import { type Bench, type Scenario, underLoad } from '../scenario.ts';
import { cpuColumns } from './http.ts';
import type { BenchPath } from './path.ts';

const PROXIES = 100;
/** A hundred handshakes and code that is compiled as it gets hot are over by then, also at the quick pace. */
const WARM_UP_MS_MIN = 4_000;

export const ca: BenchPath = {
  topology: 'authority',
  systems: ['isthmus'],
  scenarios: bench => [renewals(bench)],
};

function renewals(bench: Bench): Scenario {
  const { bed, pace, signal } = bench;
  return {
    id: 'renewals',
    title: `SVIDs for ${PROXIES} proxies, each asking again as soon as it has one`,
    connections: PROXIES,
    columns: [
      { heading: 'SVIDs/s', figure: 'rps' },
      { heading: 'p50 µs', figure: 'p50Us' },
      { heading: 'p99 µs', figure: 'p99Us' },
      ...cpuColumns(['agent']).slice(0, 1),
      { heading: 'CPU busy %', figure: 'busyPercent' },
    ],
    ratios: [],
    measure: async system => {
      if (system.authority === undefined) throw new Error(`${system.name} has no authority`);
      const warmUpMs = Math.max(pace.warmUpMs, WARM_UP_MS_MIN);
      const job: RenewalLoad = {
        control: system.entry,
        authorityDir: system.authority.dir,
        trustDomain: system.authority.trustDomain,
        proxies: PROXIES,
        warmUpMs,
        measureMs: pace.measureMs,
      };
      const plannedMs = warmUpMs + pace.measureMs;
      return underLoad(bench, system, 'request', () =>
        runGenerator(bed.placement.load, 'renewals-main', job, plannedMs, signal),
      );
    },
  };
}
