/**
 * A registry in memory: same contract as the real client (revisions, leases, replace-all then changes),
 * with a hand on its plug.
 */

import type { RegistryPort } from '../../src/cluster-agent/registry/registry-subscriber.ts';
import { recordKey } from '../../src/cluster-agent/registry/registry-view.ts';
import { MeshError } from '../../src/mesh/errors.ts';
import { type Intent, type IntentKey, intentKey } from '../../src/mesh/intent.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import type { StoredIntent } from '../../src/wire/registry-intents.ts';
import {
  idOf,
  type RecordChange,
  type RecordId,
  type RegistryRecord,
  type RegistryUpdate,
  type StoredRecord,
} from '../../src/wire/registry-records.ts';

interface Watcher {
  readonly queue: RegistryUpdate[];
  wake: () => void;
}

export class FakeRegistry {
  storeId = 'store-1';
  revision = 0n;
  /** What every publish is refused with. */
  refusal: MeshError | undefined;
  readonly published: { readonly puts: number; readonly deletes: number }[] = [];
  readonly #rows = new Map<string, StoredRecord>();
  readonly #intents = new Map<IntentKey, StoredIntent>();
  readonly #watchers = new Set<Watcher>();
  readonly #leases = new Map<string, ClusterName>();
  #reachable = true;

  clientOf(cluster: ClusterName): RegistryPort {
    return {
      grantLease: async ttlMs => {
        this.#requireReachable();
        const leaseId = `lease-${this.#leases.size + 1}`;
        this.#leases.set(leaseId, cluster);
        return { leaseId, ttlMs };
      },
      keepAlive: async leaseId => {
        this.#requireReachable();
        if (!this.#leases.has(leaseId)) throw new MeshError('LEASE_NOT_FOUND', leaseId);
        return [];
      },
      publish: async ({ puts, deletes, leaseId }) => {
        this.#requireReachable();
        if (this.refusal !== undefined) throw this.refusal;
        const bindsLease = puts.some(({ kind }) => kind === 'alive');
        if (bindsLease && !this.#leases.has(leaseId ?? '')) {
          throw new MeshError('LEASE_NOT_FOUND', leaseId ?? 'none');
        }
        this.published.push({ puts: puts.length, deletes: deletes.length });
        return this.write(cluster, puts, deletes);
      },
      watch: (_from, signal) => this.#watch(signal),
      close: () => undefined,
    };
  }

  /** What another cluster's agent would publish. */
  write(
    cluster: ClusterName,
    puts: readonly RegistryRecord[],
    deletes: readonly RecordId[] = [],
  ): bigint {
    this.revision += 1n;
    const changes: RecordChange[] = [];
    for (const record of puts) {
      const stored = { cluster, record, revision: this.revision };
      this.#rows.set(`${cluster}/${recordKey(idOf(record))}`, stored);
      changes.push({ kind: 'put', stored });
    }
    for (const id of deletes) {
      if (this.#rows.delete(`${cluster}/${recordKey(id)}`)) {
        changes.push({ kind: 'delete', cluster, id });
      }
    }
    this.#announce({ kind: 'changes', position: this.#position(), changes });
    return this.revision;
  }

  /** What an operator wants. */
  want(intent: Intent): void {
    this.revision += 1n;
    const stored = { intent, revision: this.revision };
    this.#intents.set(intentKey(intent), stored);
    this.#announce({
      kind: 'changes',
      position: this.#position(),
      changes: [{ kind: 'put-intent', stored }],
    });
  }

  /** The cluster's agent has been silent for its lease's time. */
  expireLease(cluster: ClusterName): void {
    for (const [leaseId, owner] of this.#leases) {
      if (owner === cluster) this.#leases.delete(leaseId);
    }
    this.write(cluster, [], [{ kind: 'alive' }]);
  }

  recordsOf(cluster: ClusterName): string[] {
    const prefix = `${cluster}/`;
    return [...this.#rows.keys()]
      .filter(key => key.startsWith(prefix))
      .map(key => key.slice(prefix.length));
  }

  unplug(): void {
    this.#reachable = false;
    for (const watcher of this.#watchers) watcher.wake();
  }

  plug(): void {
    this.#reachable = true;
  }

  /** A new store without any data, as after a disk was lost. */
  reset(storeId: string): void {
    this.storeId = storeId;
    this.revision = 0n;
    this.#rows.clear();
    this.#intents.clear();
    this.#leases.clear();
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<RegistryUpdate, void> {
    this.#requireReachable();
    const watcher: Watcher = { queue: [], wake: () => undefined };
    const records = [...this.#rows.values()];
    const intents = [...this.#intents.values()];
    watcher.queue.push({ kind: 'replace-all', position: this.#position(), records, intents });
    this.#watchers.add(watcher);
    const wake = (): void => watcher.wake();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        this.#requireReachable();
        const update = watcher.queue.shift();
        if (update !== undefined) yield update;
        else await new Promise<void>(resolve => (watcher.wake = resolve));
      }
    } finally {
      signal.removeEventListener('abort', wake);
      this.#watchers.delete(watcher);
    }
  }

  #announce(update: RegistryUpdate): void {
    for (const watcher of this.#watchers) {
      watcher.queue.push(update);
      watcher.wake();
    }
  }

  #position(): { readonly storeId: string; readonly revision: bigint } {
    return { storeId: this.storeId, revision: this.revision };
  }

  #requireReachable(): void {
    if (!this.#reachable) throw new MeshError('PEER_UNAVAILABLE', 'registry is unplugged');
  }
}
