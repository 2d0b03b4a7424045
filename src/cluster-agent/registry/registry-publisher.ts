/**
 * This cluster's part of the registry's table, kept equal to what the cluster is.
 *
 * It compares what it should say with what the watch shows and publishes the difference, so a restart,
 * a registry that lost its data and a record someone else removed are all the same case. It waits to
 * see its own writes before it looks again, and it works only while the watch is up: without it there
 * is nothing to compare with.
 */

import type { Notice } from '../../global-registry/client.ts';
import type { ClusterConfig } from '../../mesh/cluster.ts';
import { type Collection, sameValue } from '../../mesh/collection.ts';
import { type ErrorCode, isMeshError } from '../../mesh/errors.ts';
import type { ServiceKey } from '../../mesh/names.ts';
import type { ExportedService } from '../../mesh/service.ts';
import type { TrustDomain } from '../../mesh/spiffe-id.ts';
import type { TrustAck } from '../../mesh/trust-acks.ts';
import type { Logger } from '../../runtime/log.ts';
import { Backoff, sleep, supervise } from '../../runtime/supervise.ts';
import type { OwnBundle } from '../../trust-federation/bundles/own-bundle.ts';
import type { WatchPosition } from '../../wire/registry-records.ts';
import { PUBLICATION_RECORDS_MAX, RECONNECT_FIRST_MS, RECONNECT_MAX_MS } from '../limits.ts';
import { Signal } from '../signal.ts';
import { desiredRecords, type Publication, planPublications } from './publication.ts';
import type { RegistryPort, RegistrySubscriber } from './registry-subscriber.ts';

export interface PublisherOptions {
  readonly registry: RegistryPort;
  readonly subscriber: RegistrySubscriber;
  readonly config: ClusterConfig;
  /** Of the processes that ran from this state directory before; see instance.ts. */
  readonly previousInstances: readonly string[];
  readonly ownBundle: OwnBundle;
  readonly exports: Collection<ServiceKey, ExportedService>;
  /** The cluster has left the ClusterSet: it has nothing to say there any more. */
  readonly departed: () => boolean;
  /** What our proxies verify with. */
  readonly acks: Collection<TrustDomain, TrustAck>;
  readonly leaseTtlMs: number;
  readonly log: Logger;
  readonly now: () => number;
}

export interface PublicationProblem {
  readonly code: ErrorCode;
  readonly message: string;
}

interface HeldLease {
  readonly leaseId: string;
  readonly ttlMs: number;
  expiresMs: number;
  /** Whether the alive record hangs on it. */
  bound: boolean;
}

export class RegistryPublisher {
  readonly name = 'registry-publisher';
  readonly #options: PublisherOptions;
  readonly #changed = new Signal();
  #lease: HeldLease | undefined;
  #problem: PublicationProblem | undefined;
  #notices: readonly Notice[] = [];

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** When the others will call this cluster stale, if nothing is heard of it again. */
  get leaseExpiresMs(): number | undefined {
    return this.#lease?.expiresMs;
  }

  /** Why the registry did not take the last publication, while it does not. */
  get problem(): PublicationProblem | undefined {
    return this.#problem;
  }

  /** What the registry has to say about this cluster's records. */
  get notices(): readonly Notice[] {
    return this.#notices;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { exports, ownBundle, acks, subscriber } = this.#options;
    const stops = [exports, ownBundle.bundles, acks, subscriber].map(input =>
      input.observe(() => this.#changed.raise()),
    );
    try {
      await supervise(
        [
          { name: 'publish', run: stop => this.#publishChanges(stop) },
          { name: 'keep-alive', run: stop => this.#keepAlive(stop) },
        ],
        signal,
      );
    } finally {
      for (const stop of stops) stop();
    }
  }

  async #publishChanges(signal: AbortSignal): Promise<void> {
    const { subscriber, log } = this.#options;
    const backoff = new Backoff(RECONNECT_FIRST_MS, RECONNECT_MAX_MS);
    while (!signal.aborted) {
      const { connected } = subscriber;
      const [publication] = connected ? this.#plan() : [];
      if (publication === undefined) {
        // What was refused last is not wanted any more.
        if (connected) this.#problem = undefined;
        await this.#changed.wait(signal);
        continue;
      }
      try {
        await this.#publish(publication, subscriber.position, signal);
        backoff.reset();
      } catch (error) {
        if (!isMeshError(error)) throw error;
        if (isMeshError(error, 'LEASE_NOT_FOUND')) this.#lease = undefined;
        this.#problem = { code: error.code, message: error.message };
        log.warn({ error }, 'publication failed');
        await sleep(backoff.next(), signal);
      }
    }
  }

  #plan(): Publication[] {
    const { config, ownBundle, exports, acks, subscriber, departed } = this.#options;
    if (departed()) return [];
    const published = subscriber.recordsOf(config.name);
    const desired = desiredRecords(
      config,
      ownBundle.offer(),
      exports.entries().values(),
      acks.entries().values(),
      published,
    );
    return planPublications(
      desired,
      published,
      this.#lease?.bound === true,
      PUBLICATION_RECORDS_MAX,
    );
  }

  async #publish(
    { puts, deletes }: Publication,
    asOf: WatchPosition | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { registry, subscriber, config, previousInstances, log } = this.#options;
    const bindsLease = puts.some(record => record.kind === 'alive');
    const lease = bindsLease ? await this.#ensureLease() : undefined;
    const revision = await registry.publish({
      puts,
      deletes,
      instance: config.instance,
      previousInstances,
      ...(asOf === undefined ? {} : { asOf }),
      ...(lease === undefined ? {} : { leaseId: lease.leaseId }),
    });
    this.#problem = undefined;
    log.info({ puts: puts.length, deletes: deletes.length, revision: `${revision}` }, 'published');
    while (subscriber.connected && subscriber.revision < revision && !signal.aborted) {
      await this.#changed.wait(signal);
    }
    if (lease !== undefined) lease.bound = true;
  }

  async #ensureLease(): Promise<HeldLease> {
    if (this.#lease !== undefined) return this.#lease;
    const { registry, leaseTtlMs, now } = this.#options;
    const startMs = now();
    const { leaseId, ttlMs } = await registry.grantLease(leaseTtlMs);
    this.#lease = { leaseId, ttlMs, expiresMs: startMs + ttlMs, bound: false };
    return this.#lease;
  }

  async #keepAlive(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lease = this.#lease;
      await sleep((lease?.ttlMs ?? this.#options.leaseTtlMs) / 3, signal);
      if (lease !== undefined) await this.#extend(lease, signal);
    }
  }

  async #extend(lease: HeldLease, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { registry, subscriber, log, now } = this.#options;
    const startMs = now();
    try {
      const notices = await registry.keepAlive(lease.leaseId, subscriber.position);
      lease.expiresMs = startMs + lease.ttlMs;
      this.#hear(notices);
    } catch (error) {
      if (!isMeshError(error)) throw error;
      log.warn({ error }, 'lease not kept alive');
      if (!isMeshError(error, 'LEASE_NOT_FOUND') || lease !== this.#lease) return;
      this.#lease = undefined;
      this.#changed.raise();
    }
  }

  #hear(notices: readonly Notice[]): void {
    for (const notice of notices) {
      const known = this.#notices.some(earlier => sameValue(earlier, notice));
      if (!known) this.#options.log.warn({ ...notice }, 'notice of the registry');
    }
    this.#notices = notices;
  }
}
