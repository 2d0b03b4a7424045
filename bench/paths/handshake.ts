/**
 * Full mTLS handshakes at the inbound sidecar. The load generator is a Node process on its own CPU and is
 * often the slower side, so the CPU time that a server spends on one is the figure to read.
 */

import type { HandshakeLoad } from '../load/handshakes.ts';
import { runGenerator } from '../load/outcome.ts';
import { type Bench, type Scenario, underLoad } from '../scenario.ts';
import { cpuColumns } from './http.ts';
import type { BenchPath } from './path.ts';

const CALLERS = 8;

export const handshake: BenchPath = {
  topology: 'inbound',
  systems: ['isthmus', 'haproxy', 'nginx', 'envoy'],
  scenarios: bench => [handshakes(bench)],
};

function handshakes(bench: Bench): Scenario {
  const { bed, pace, signal } = bench;
  return {
    id: 'full',
    title: `full mTLS handshakes (TLS 1.3, P-256, nothing resumed), ${CALLERS} callers`,
    connections: CALLERS,
    columns: [
      { heading: 'handshakes/s', figure: 'rps' },
      { heading: 'p50 µs', figure: 'p50Us' },
      { heading: 'p99 µs', figure: 'p99Us' },
      ...cpuColumns(['in']).slice(0, 1),
      { heading: 'CPU busy %', figure: 'busyPercent' },
    ],
    ratios: [
      { name: 'handshakes', figure: 'rps', better: 'higher' },
      { name: 'cpuPerHandshake', figure: 'cpuUsPerRequest.in', better: 'lower' },
    ],
    measure: async system => {
      if (system.callerTls === undefined) throw new Error(`${system.name} has no credentials`);
      const job: HandshakeLoad = {
        entry: system.entry,
        serverName: bed.serverName,
        credentials: system.callerTls,
        connections: CALLERS,
        warmUpMs: pace.warmUpMs,
        measureMs: pace.measureMs,
      };
      const plannedMs = pace.warmUpMs + pace.measureMs;
      return underLoad(bench, system, 'request', () =>
        runGenerator(bed.placement.load, 'handshakes-main', job, plannedMs, signal),
      );
    },
  };
}
