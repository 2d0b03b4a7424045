/** One Prometheus registry a process, with the process's own figures; components add theirs. */

import { Counter, Gauge, Registry } from 'prom-client';
import { faultCount } from './faults.ts';
import { exposeProcess } from './process-metrics.ts';

export type { Registry as MetricsRegistry };

export function createMetrics(component: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ component });
  exposeProcess(registry);
  new Gauge({
    name: 'isthmus_unsupported_runtime',
    help: '1 when this Node.js release line no longer gets security fixes',
    registers: [registry],
  }).set(unsupportedRuntime(process.versions.node, Date.now()) === undefined ? 0 : 1);
  new Counter({
    name: 'isthmus_faults_total',
    help: 'Exceptions in the code that ended one connection, and would else have ended the process',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(faultCount());
    },
  });
  return registry;
}

/** End of life of each line we run on (https://github.com/nodejs/release, schedule.json). */
const END_OF_LIFE: Readonly<Record<string, string>> = {
  '20': '2026-04-30',
  '22': '2027-04-30',
  '24': '2028-04-30',
};

/** Why this Node should not run in production, or undefined when it may. */
export function unsupportedRuntime(version: string, nowMs: number): string | undefined {
  const end = END_OF_LIFE[version.split('.')[0] ?? ''];
  if (end === undefined) return `Node ${version} is not a line Isthmus is tested on; use 22 or 24`;
  if (nowMs <= Date.parse(end)) return undefined;
  return `Node ${version} gets no security fixes since ${end}; use 22 or 24`;
}
