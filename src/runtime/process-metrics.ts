/**
 * What every process says of itself, under the names that Prometheus' client libraries have for it.
 *
 * Read when somebody asks. prom-client's own set costs an idle proxy more than all else it does: it wakes
 * a hundred times a second to measure the event loop's lag, and has V8 report every garbage collection.
 */

import { readdirSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';

export function exposeProcess(registry: Registry): void {
  const startedSeconds = Date.now() / 1000 - process.uptime();
  const { counter, gauge } = declare(registry);
  counter('process_cpu_user_seconds_total', 'CPU time in user mode', () => cpu('user'));
  counter('process_cpu_system_seconds_total', 'CPU time in system mode', () => cpu('system'));
  counter('process_cpu_seconds_total', 'CPU time', () => cpu('user') + cpu('system'));
  counter(
    'isthmus_event_loop_active_seconds_total',
    'Time that the event loop was not waiting; near 1 a second, the process is a whole core busy',
    () => performance.eventLoopUtilization().active / 1000,
  );
  gauge('process_start_time_seconds', 'Start of the process', () => startedSeconds);
  gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss());
  gauge('process_open_fds', 'Open file descriptors', openFiles);
  gauge('nodejs_heap_size_total_bytes', 'The JavaScript heap', () => heap().heapTotal);
  gauge('nodejs_heap_size_used_bytes', 'Of the heap: in use', () => heap().heapUsed);
  gauge('nodejs_external_memory_bytes', 'Memory of buffers', () => heap().external);
}

function declare(registry: Registry) {
  const registers = [registry];
  return {
    counter: (name: string, help: string, read: () => number) =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    gauge: (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      }),
  };
}

function cpu(mode: 'user' | 'system'): number {
  return process.cpuUsage()[mode] / 1e6;
}

function heap(): NodeJS.MemoryUsage {
  return process.memoryUsage();
}

/** Not a number where there is no /proc. */
function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return Number.NaN;
  }
}
