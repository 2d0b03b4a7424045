/**
 * Snapshots by class of proxy, worked out anew when the mesh changes: once per turn of the event loop
 * however many inputs changed, and once per class however many proxies have it.
 */

import type { ObservableInput } from '../../mesh/collection.ts';
import { GatewayResources } from './gateway-resources.ts';
import { SidecarResources } from './sidecar-resources.ts';
import { type MeshState, type ProxyClass, type Snapshot, Snapshots } from './snapshot.ts';

export interface SnapshotCacheOptions {
  /** Whatever changes the state says so here. */
  readonly inputs: readonly ObservableInput[];
  readonly state: () => MeshState;
}

interface Entry {
  readonly snapshots: Snapshots;
  snapshot: Snapshot;
  readonly subscribers: Set<(snapshot: Snapshot) => void>;
}

export class SnapshotCache {
  readonly #options: SnapshotCacheOptions;
  readonly #entries = new Map<string, Entry>();
  #scheduled = false;

  constructor(options: SnapshotCacheOptions) {
    this.#options = options;
    for (const input of options.inputs) input.observe(() => this.#schedule());
  }

  /** A class is kept for as long as it has subscribers. */
  subscribe(
    proxies: ProxyClass,
    onChange: (snapshot: Snapshot) => void,
  ): { readonly snapshot: Snapshot; readonly stop: () => void } {
    const key = classKey(proxies);
    const entry = this.#entries.get(key) ?? this.#open(proxies);
    this.#entries.set(key, entry);
    entry.subscribers.add(onChange);
    const stop = (): void => {
      entry.subscribers.delete(onChange);
      if (entry.subscribers.size === 0) this.#entries.delete(key);
    };
    return { snapshot: entry.snapshot, stop };
  }

  #open(proxies: ProxyClass): Entry {
    const source =
      proxies.kind === 'gateway' ? new GatewayResources() : new SidecarResources(proxies.locality);
    const snapshots = new Snapshots(source);
    const snapshot = snapshots.next(this.#options.state());
    return { snapshots, snapshot, subscribers: new Set() };
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const state = this.#options.state();
      for (const entry of this.#entries.values()) {
        const snapshot = entry.snapshots.next(state);
        if (snapshot === entry.snapshot) continue;
        entry.snapshot = snapshot;
        for (const subscriber of [...entry.subscribers]) subscriber(snapshot);
      }
    });
  }
}

function classKey(proxies: ProxyClass): string {
  return proxies.kind === 'gateway'
    ? 'gateway'
    : JSON.stringify([proxies.locality.region, proxies.locality.zone]);
}
