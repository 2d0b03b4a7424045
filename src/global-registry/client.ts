/**
 * The door of the global registry: what an agent calls to publish its cluster and follow the others.
 *
 * Unary calls try each registry address once, starting with the one that worked last, and throw the
 * last failure; all of them may be repeated. A watch is one stream to one registry: when it breaks it
 * throws, and calling `watch` again with the last position continues at the next address, so that the
 * caller always knows whether it is connected. Each stream and each failed call dials anew, with
 * whatever certificate is current by then.
 */

import type { SocketAddress } from '../mesh/address.ts';
import { formatAddress } from '../mesh/address.ts';
import { type ErrorCode, isMeshError, MeshError } from '../mesh/errors.ts';
import type { Logger } from '../runtime/log.ts';
import type { RpcMethod } from '../runtime/rpc.ts';
import { RpcChannel, type RpcTls } from '../runtime/rpc-client.ts';
import {
  RegistryDefinition,
  type WatchResponse,
} from '../wire/generated/isthmus/registry/v1/registry.ts';
import {
  encodeRecordId,
  formatRecord,
  type RecordId,
  type RegistryRecord,
  type RegistryUpdate,
  type WatchPosition,
} from '../wire/registry-records.ts';
import { UpdateReader } from '../wire/registry-updates.ts';

export { joinClusterSet, renewMembership } from './join-client.ts';

export interface RegistryClientOptions {
  /** At least one; tried in this order. */
  readonly addresses: readonly SocketAddress[];
  /** Asked at every dial. */
  readonly tls: () => RpcTls;
  readonly log: Logger;
}

export interface Lease {
  readonly leaseId: string;
  readonly ttlMs: number;
}

export interface Publication {
  readonly puts: readonly RegistryRecord[];
  readonly deletes: readonly RecordId[];
  /** Needed with an `alive` record, which dies with the lease; other records ignore it. */
  readonly leaseId?: string;
  /** The view it was decided on: if a record of it has changed since, REVISION_CONFLICT. */
  readonly asOf?: WatchPosition;
  /** The publishing process, and those it takes over from; see docs/decisions/0040. */
  readonly instance?: string;
  readonly previousInstances?: readonly string[];
}

/** What the registry tells a cluster about its own records. */
export interface Notice {
  readonly kind: string;
  readonly subject: string;
  readonly message: string;
}

/** A registry answers a watch at once, and then says something every few seconds; one that does not is hung. */
const FIRST_UPDATE_MS = 5_000;
const SILENCE_MS_MAX = 30_000;

/** Failures of one registry process, which another one may not share. */
const TRY_NEXT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PEER_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'STORE_UNAVAILABLE',
  'PEER_REFUSED',
]);

export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #reader: UpdateReader;
  #preferred = 0;
  #channel: RpcChannel | undefined;

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    this.#reader = new UpdateReader(error =>
      options.log.warn({ error }, 'registry record left out: it cannot be read'),
    );
  }

  /** The registry may grant less or more than asked for; `ttlMs` is what counts. */
  async grantLease(ttlMs: number): Promise<Lease> {
    return this.#unary(RegistryDefinition.methods.grantLease, { ttlMs });
  }

  /**
   * `applied` is how far the caller's view has come. Resolves to what the cluster's operators should
   * know. Throws LEASE_NOT_FOUND once the lease is gone: grant a new one and publish `alive` again.
   */
  async keepAlive(leaseId: string, applied?: WatchPosition): Promise<readonly Notice[]> {
    const { notices } = await this.#unary(RegistryDefinition.methods.keepAlive, {
      leaseId,
      appliedRevision: applied?.revision ?? 0n,
      appliedStoreId: applied?.storeId ?? '',
    });
    return notices.map(({ kind, subject, message }) => ({ kind, subject, message }));
  }

  /** Applies everything in one transaction or nothing. At most PUBLISH_RECORDS_MAX records a call. */
  async publish(publication: Publication): Promise<bigint> {
    const { revision } = await this.#unary(RegistryDefinition.methods.publish, {
      puts: publication.puts.map(record => Buffer.from(formatRecord(record))),
      deletes: publication.deletes.map(encodeRecordId),
      leaseId: publication.leaseId ?? '',
      asOfRevision: publication.asOf?.revision ?? 0n,
      asOfStoreId: publication.asOf?.storeId ?? '',
      instance: publication.instance ?? '',
      previousInstances: [...(publication.previousInstances ?? [])],
    });
    return revision;
  }

  /**
   * Yields at once (a replace-all, or the changes after `from`, perhaps none), then on every change, and a
   * heartbeat every few seconds. Ends on abort; throws when the stream breaks or the registry is silent.
   * The next watch goes to the next address.
   */
  async *watch(
    from: WatchPosition | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<RegistryUpdate, void> {
    const address = this.#address();
    const channel = this.#dial(address);
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    let at = from;
    let silence = setTimeout(abort, FIRST_UPDATE_MS);
    this.#reader.restart();
    try {
      const request = {
        resumeRevision: from?.revision ?? 0n,
        storeId: from?.storeId ?? '',
        heartbeats: true,
      };
      const { watch } = RegistryDefinition.methods;
      for await (const message of channel.serverStream(watch, request, stop.signal)) {
        clearTimeout(silence);
        silence = setTimeout(abort, SILENCE_MS_MAX);
        requireNext(message, at);
        const update = this.#reader.read(message);
        if (update === undefined) continue;
        at = update.position;
        yield update;
      }
      if (!signal.aborted) {
        throw new MeshError(
          'PEER_UNAVAILABLE',
          `registry "${formatAddress(address)}" ended the watch or fell silent`,
        );
      }
    } finally {
      // Also when the reader left because of what it was told: another registry may know better.
      if (!signal.aborted) this.#moveOn(address);
      clearTimeout(silence);
      signal.removeEventListener('abort', abort);
      channel.close();
    }
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #unary<Req, Res>(method: RpcMethod<Req, Res>, request: Req): Promise<Res> {
    for (let attempt = 1; ; attempt++) {
      const address = this.#address();
      this.#channel ??= this.#dial(address);
      try {
        return await this.#channel.unary(method, request);
      } catch (error) {
        if (!isMeshError(error) || !TRY_NEXT.has(error.code)) throw error;
        this.#moveOn(address);
        if (attempt >= this.#options.addresses.length) throw error;
      }
    }
  }

  #address(): SocketAddress {
    const { addresses } = this.#options;
    const address = addresses[this.#preferred % addresses.length];
    if (address === undefined) throw new Error('a registry client needs an address');
    return address;
  }

  #dial(address: SocketAddress): RpcChannel {
    return new RpcChannel(RegistryDefinition, { address, tls: this.#options.tls() });
  }

  /** Unless someone else's failure has moved on from that address already. */
  #moveOn(failed: SocketAddress): void {
    if (this.#address() !== failed) return;
    this.#preferred = (this.#preferred + 1) % this.#options.addresses.length;
    this.close();
  }
}

/** Throws PROTOCOL_VIOLATION when a message before this one was lost, repeated or overtaken. */
function requireNext(message: WatchResponse, at: WatchPosition | undefined): void {
  const { storeId, afterRevision } = message;
  if (afterRevision === 0n || at?.storeId !== storeId || at.revision === afterRevision) return;
  throw new MeshError(
    'PROTOCOL_VIOLATION',
    `the registry sent what follows revision ${afterRevision}, this watch stands at ${at.revision}; resuming from there`,
  );
}
