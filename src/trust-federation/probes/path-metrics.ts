/** The paths a proxy probes, as figures. Labels are clusters of the ClusterSet and a closed list of states. */

import { Gauge } from 'prom-client';
import type { MetricsRegistry } from '../../runtime/metrics.ts';
import type { PathProber } from './path-prober.ts';

export function exposePaths(registry: MetricsRegistry, prober: PathProber): void {
  new Gauge({
    name: 'isthmus_paths',
    help: 'Paths to other clusters that this proxy probes, by cluster and state',
    labelNames: ['cluster', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { cluster, state } of prober.evidence()) this.inc({ cluster, state: state.kind });
    },
  });
  new Gauge({
    name: 'isthmus_path_rtt_seconds',
    help: 'Of the last probe that was answered, the fastest path of each cluster',
    labelNames: ['cluster'],
    registers: [registry],
    collect() {
      this.reset();
      const fastest = new Map<string, number>();
      for (const { cluster, rttMs } of prober.evidence()) {
        if (rttMs !== undefined) {
          fastest.set(cluster, Math.min(rttMs, fastest.get(cluster) ?? Number.POSITIVE_INFINITY));
        }
      }
      for (const [cluster, rttMs] of fastest) this.set({ cluster }, rttMs / 1_000);
    },
  });
}
