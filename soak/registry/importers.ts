/**
 * Agents' own subscribers, each on another way to the registries, with everything they were handed and
 * everything they then believed on record.
 */

import { mkdir } from 'node:fs/promises';
import {
  type RegistryPort,
  RegistrySubscriber,
} from '../../src/cluster-agent/registry/registry-subscriber.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import type { Logger } from '../../src/runtime/log.ts';
import type { RegistryUpdate, WatchPosition } from '../../src/wire/registry-records.ts';
import type { Delivery, ImporterHistory, Seen, Sight } from '../history/history.ts';
import { keyName, tokenOf } from './churn.ts';

type Watch = RegistryPort['watch'];

export interface ImporterOptions {
  readonly name: string;
  readonly registry: RegistryPort;
  /** Whose records are recorded. */
  readonly clusters: readonly ClusterName[];
  readonly stateDir: string;
  readonly log: Logger;
  /** Made worse than it is, to show that this is noticed. */
  readonly breakWatch?: (watch: Watch) => Watch;
}

export class Importer {
  readonly name: string;
  readonly #options: ImporterOptions;
  readonly #subscriber: RegistrySubscriber;
  readonly #sights: Sight[] = [];
  readonly #deliveries: Delivery[] = [];
  readonly #held = new Map<string, { readonly token: string; readonly revision: bigint }>();
  #streams = 0;

  constructor(options: ImporterOptions) {
    this.name = options.name;
    this.#options = options;
    const { registry, breakWatch } = options;
    const watch: Watch = (from, signal) => this.#record(registry, from, signal);
    this.#subscriber = new RegistrySubscriber({
      registry: { ...portOf(registry), watch: breakWatch?.(watch) ?? watch },
      stateDir: options.stateDir,
      log: options.log,
      now: Date.now,
    });
    this.#subscriber.observe(() => this.#look());
  }

  get revision(): bigint {
    return this.#subscriber.revision;
  }

  get connected(): boolean {
    return this.#subscriber.connected;
  }

  history(): ImporterHistory {
    return { name: this.name, sights: this.#sights, deliveries: this.#deliveries };
  }

  async run(signal: AbortSignal): Promise<void> {
    await mkdir(this.#options.stateDir, { recursive: true, mode: 0o700 });
    await this.#subscriber.run(signal);
  }

  async *#record(
    registry: RegistryPort,
    from: WatchPosition | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<RegistryUpdate, void> {
    this.#streams += 1;
    const stream = this.#streams;
    const after = from?.revision ?? 0n;
    for await (const update of registry.watch(from, signal)) {
      const { kind, position } = update;
      if (kind !== 'heartbeat') {
        const changes = kind === 'changes' ? update.changes.length : update.records.length;
        this.#deliveries.push({ stream, after, kind, revision: position.revision, changes });
      }
      yield update;
    }
  }

  #look(): void {
    const changes: Seen[] = [];
    const gone = new Set(this.#held.keys());
    for (const cluster of this.#options.clusters) {
      for (const { record, revision } of this.#subscriber.recordsOf(cluster).values()) {
        const token = tokenOf(record);
        if (token === undefined) continue;
        const key = keyName(cluster, record);
        gone.delete(key);
        if (this.#held.get(key)?.revision === revision) continue;
        const value = { token, revision };
        this.#held.set(key, value);
        changes.push({ key, value });
      }
    }
    for (const key of gone) {
      this.#held.delete(key);
      changes.push({ key, value: undefined });
    }
    this.#sights.push({ atMs: performance.now(), revision: this.revision, changes });
  }
}

/** A watcher with the fault that etcd3's own has: now and then an event is lost, and nobody is told. */
export function losingEvents(everyNth: number): (watch: Watch) => Watch {
  return watch =>
    async function* (from, signal) {
      let count = 0;
      for await (const update of watch(from, signal)) {
        count += 1;
        const isLost = update.kind === 'changes' && count % everyNth === 0;
        yield isLost ? { ...update, changes: [] } : update;
      }
    };
}

/** The port of a client, whose methods live on its class. */
function portOf(registry: RegistryPort): RegistryPort {
  return {
    grantLease: ttlMs => registry.grantLease(ttlMs),
    keepAlive: leaseId => registry.keepAlive(leaseId),
    publish: publication => registry.publish(publication),
    watch: (from, signal) => registry.watch(from, signal),
    close: () => registry.close(),
  };
}
