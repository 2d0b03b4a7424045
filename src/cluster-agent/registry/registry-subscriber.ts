/**
 * The registry's watch → Collection<ClusterName, ClusterRecord>.
 *
 * A cluster counts once its canary is written and until it is withdrawn. Its lease running out, or our
 * losing the registry, makes it stale with a date and deletes nothing. The view survives restarts on
 * disk, position included, so that a start without the registry is a start with yesterday's mesh, and a
 * registry that has gone back in time is noticed.
 */

import { join } from 'node:path';
import type { RegistryClient } from '../../global-registry/client.ts';
import type { ClusterClaim } from '../../mesh/cluster.ts';
import { Table } from '../../mesh/collection.ts';
import { isMeshError, MeshError } from '../../mesh/errors.ts';
import type { Intent, IntentKey } from '../../mesh/intent.ts';
import type { ClusterName } from '../../mesh/names.ts';
import { LastKnownGood } from '../../runtime/last-known-good.ts';
import type { Logger } from '../../runtime/log.ts';
import { Backoff, sleep, supervise } from '../../runtime/supervise.ts';
import type { RegistryUpdate, WatchPosition } from '../../wire/registry-records.ts';
import { LAST_KNOWN_GOOD_DELAY_MS, RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../limits.ts';
import { formatRegistryFile, parseRegistryFile } from './registry-file.ts';
import {
  applyUpdate,
  type ClusterRecords,
  clusterState,
  EMPTY_VIEW,
  holds,
  intentsInForce,
  type Liveness,
  nextFreshness,
  type RegistryView,
  recordsInForce,
} from './registry-view.ts';

/** What the agent needs of the registry's client. */
export type RegistryPort = Pick<
  RegistryClient,
  'grantLease' | 'keepAlive' | 'publish' | 'watch' | 'close'
>;

export interface SubscriberOptions {
  readonly registry: RegistryPort;
  readonly stateDir: string;
  readonly log: Logger;
  readonly now: () => number;
}

export interface SubscriberStatus {
  readonly connected: boolean;
  /** When `connected` last changed. */
  readonly sinceMs: number;
  readonly lastUpdateMs: number | undefined;
  /** Why the last watch ended, while there is none. */
  readonly problem: string | undefined;
  readonly revision: string | undefined;
}

export class RegistrySubscriber {
  readonly name = 'registry-subscriber';
  /** The other clusters' and our own, as the registry has them. */
  readonly clusters = new Table<ClusterName, ClusterClaim>('clusters');
  /** The operators'; as old as the view is. */
  readonly intents = new Table<IntentKey, Intent>('intents');
  readonly #options: SubscriberOptions;
  readonly #file: LastKnownGood;
  readonly #observers = new Set<() => void>();
  #view: RegistryView = EMPTY_VIEW;
  /**
   * The view may not be all that the registry has, so the next watch starts over: it comes from disk, where
   * an earlier version of this agent left out what it could not read, or a digest has shown it.
   */
  #doubted = true;
  #observer: Liveness['observer'] = 'loaded-from-disk';
  #sinceMs: number;
  #lastUpdateMs: number | undefined;
  #problem: string | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#sinceMs = options.now();
    this.#file = new LastKnownGood({
      path: join(options.stateDir, 'last-known-good'),
      serialise: () => formatRegistryFile(this.#view),
      delayMs: LAST_KNOWN_GOOD_DELAY_MS,
      log: options.log,
    });
  }

  /** Whether the other clusters are known at all, from the registry or from disk. */
  get hasView(): boolean {
    return this.#view.position !== undefined;
  }

  get connected(): boolean {
    return this.#observer === 'connected';
  }

  get revision(): bigint {
    return this.#view.position?.revision ?? 0n;
  }

  /** How far the view has come; undefined before the first update. */
  get position(): WatchPosition | undefined {
    return this.#view.position;
  }

  status(): SubscriberStatus {
    return {
      connected: this.connected,
      sinceMs: this.#sinceMs,
      lastUpdateMs: this.#lastUpdateMs,
      problem: this.connected ? undefined : this.#problem,
      revision: this.#view.position?.revision.toString(),
    };
  }

  /** A cluster's records as the registry has them. */
  recordsOf(cluster: ClusterName): ClusterRecords {
    return this.#view.clusters.get(cluster) ?? new Map();
  }

  /** Called after every update and every change of `connected`; returns the way to stop. */
  observe(observer: () => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  async load(): Promise<void> {
    const view = await this.#file.load(parseRegistryFile);
    if (view !== undefined) this.#show(view);
  }

  async run(signal: AbortSignal): Promise<void> {
    await supervise([{ name: 'watch', run: stop => this.#follow(stop) }, this.#file], signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { registry, log } = this.#options;
    const backoff = new Backoff(RECONNECT_FIRST_MS, RECONNECT_MAX_MS);
    while (!signal.aborted) {
      try {
        const from = this.#doubted ? undefined : this.#view.position;
        for await (const update of registry.watch(from, signal)) {
          this.#receive(update);
          backoff.reset();
        }
      } catch (error) {
        if (!isMeshError(error)) throw error;
        this.#problem = error.message;
        log.warn({ error }, 'registry unreachable');
      }
      this.#lost();
      await sleep(backoff.next(), signal);
    }
  }

  #receive(update: RegistryUpdate): void {
    const { log, now } = this.#options;
    const view = applyUpdate(this.#view, update);
    if (view === this.#view) {
      throw new MeshError(
        'PROTOCOL_VIOLATION',
        `registry went back from revision ${this.revision} to ${update.position.revision}; using another registry until this one has caught up`,
      );
    }
    if (update.kind === 'heartbeat' && !holds(view, update.digest)) {
      this.#doubted = true;
      throw new MeshError(
        'PROTOCOL_VIOLATION',
        `at revision ${update.position.revision} the registry holds other records than this agent; reading all of them again`,
      );
    }
    this.#lastUpdateMs = now();
    if (update.kind === 'heartbeat') {
      this.#view = view;
      for (const observer of [...this.#observers]) observer();
      return;
    }
    if (update.kind === 'replace-all') this.#doubted = false;
    const previous = this.#view.position?.storeId;
    if (previous !== undefined && previous !== view.position?.storeId) {
      log.warn({ storeId: view.position?.storeId }, 'registry has another store than before');
    }
    if (!this.connected) this.#sinceMs = now();
    this.#observer = 'connected';
    this.#show(view);
    this.#file.touch();
  }

  #lost(): void {
    if (!this.connected) return;
    this.#observer = 'registry-unreachable';
    this.#sinceMs = this.#options.now();
    this.#show(this.#view);
  }

  #show(view: RegistryView): void {
    this.#view = view;
    const nowMs = this.#options.now();
    const rows: [ClusterName, ClusterClaim][] = [];
    for (const [cluster, records] of recordsInForce(view)) {
      const previous = this.clusters.get(cluster);
      const state = clusterState(records);
      if (state.kind === 'absent') continue;
      const liveness = { alive: records.has('alive'), observer: this.#observer };
      const freshness = nextFreshness(previous?.freshness, liveness, nowMs);
      if (state.kind === 'settled') rows.push([cluster, { ...state.claim, freshness }]);
      else if (previous !== undefined) rows.push([cluster, { ...previous, freshness }]);
    }
    this.clusters.replaceAll(rows);
    this.intents.replaceAll([...intentsInForce(view)].map(([key, { intent }]) => [key, intent]));
    for (const observer of [...this.#observers]) observer();
  }
}
