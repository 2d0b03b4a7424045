/** Every metric of the registry. Labels take values from closed lists only. */

import { Counter, Gauge } from 'prom-client';
import { createMetrics, type MetricsRegistry } from '../runtime/metrics.ts';

export interface RegistryMetrics {
  readonly registry: MetricsRegistry;
  readonly storeUp: Gauge;
  /** 1 while the store has gone back and no operator has confirmed it. */
  readonly frozen: Gauge;
  /** Times the watch was found to have lost events. */
  readonly repairs: Counter;
  /** Agents refused because another one is the cluster already. */
  readonly rivals: Counter;
  readonly records: Gauge;
  readonly unreadableRecords: Counter;
  readonly subscribers: Gauge;
  readonly resyncs: Counter;
  /** `result`: `ok` or the error's code. */
  readonly publishes: Counter<'result'>;
  /** `result`: `issued` or the error's code. */
  readonly memberships: Counter<'method' | 'result'>;
  /** `reason`: trust-federation's refusal reasons, and `tls`. */
  readonly refusedPeers: Counter<'reason'>;
}

export function createRegistryMetrics(): RegistryMetrics {
  const registry = createMetrics('registry');
  const registers = [registry];
  return {
    registry,
    storeUp: new Gauge({
      name: 'isthmus_registry_store_up',
      help: '1 while the registry follows its store, 0 while it serves the last known table',
      registers,
    }),
    frozen: new Gauge({
      name: 'isthmus_registry_frozen',
      help: '1 while the store has gone back in time and no operator has confirmed it; writes are refused',
      registers,
    }),
    repairs: new Counter({
      name: 'isthmus_registry_watch_repairs_total',
      help: 'Times the copy was read anew because the watch had lost events',
      registers,
    }),
    rivals: new Counter({
      name: 'isthmus_registry_rival_instances_total',
      help: 'Publishes refused because another live agent is that cluster',
      registers,
    }),
    records: new Gauge({
      name: 'isthmus_registry_records',
      help: 'Records in the table, of all clusters',
      registers,
    }),
    unreadableRecords: new Counter({
      name: 'isthmus_registry_unreadable_records_total',
      help: 'Records found in the store that this version cannot read',
      registers,
    }),
    subscribers: new Gauge({
      name: 'isthmus_registry_subscribers',
      help: 'Watch streams being served',
      registers,
    }),
    resyncs: new Counter({
      name: 'isthmus_registry_resyncs_total',
      help: 'Times a subscriber that asked to resume was sent the whole table instead',
      registers,
    }),
    publishes: new Counter({
      name: 'isthmus_registry_publishes_total',
      help: 'Publish calls by result: ok, or the code of the error',
      labelNames: ['result'],
      registers,
    }),
    memberships: new Counter({
      name: 'isthmus_registry_memberships_total',
      help: 'Requests of clusters for a membership, by method and result',
      labelNames: ['method', 'result'],
      registers,
    }),
    refusedPeers: new Counter({
      name: 'isthmus_registry_refused_peers_total',
      help: 'Connections refused before any call, by reason',
      labelNames: ['reason'],
      registers,
    }),
  };
}
