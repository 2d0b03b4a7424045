/**
 * The registry's table in etcd, through etcd3.
 *
 * Only etcd3's connection pool and RPC clients are used. Its Watcher resumes from the store's revision
 * instead of the last one delivered and so loses events (reproduced in
 * test/global-registry/store/etcd-store.test.ts); here a watch is one stream that ends with its connection,
 * and whoever follows it asks again from the revision they have. Its circuit breaker counts refusals of
 * one request as faults of the server and then fails every other call; here nothing breaks circuits, and
 * only a call that never left is tried at the next endpoint.
 */

import {
  Etcd3,
  EtcdLeaseInvalidError,
  type ICompare,
  type IKeyValue,
  type IRequestOp,
  type IWatchRequest,
  type IWatchResponse,
} from 'etcd3';
import { formatAddress, type SocketAddress } from '../../mesh/address.ts';
import { isMeshError, MeshError, messageOf } from '../../mesh/errors.ts';
import {
  ETCD_CALL_MS_MAX,
  ETCD_INDEX_PAGE_KEYS,
  ETCD_MESSAGE_BYTES_MAX,
  ETCD_PAGE_KEYS,
} from '../limits.ts';
import { hangUp, messagesOf, nextHostUnlessSent, once, requireLeader } from './etcd-calls.ts';
import { type EtcdTls, etcdTlsChannels } from './etcd-tls.ts';
import type {
  Commit,
  Index,
  RegistryStore,
  Revision,
  Snapshot,
  StoreEntry,
  StoreEvent,
  StoreLease,
  StorePosition,
} from './store.ts';

export class EtcdStore implements RegistryStore {
  readonly kind = 'etcd';
  readonly #etcd: Etcd3;
  readonly #where: string;
  /** Of the last snapshot; a stream from any other cluster continues nothing. */
  #storeId: string | undefined;

  constructor(endpoints: readonly SocketAddress[], tls?: EtcdTls) {
    const scheme = tls === undefined ? 'http' : 'https';
    const hosts = endpoints.map(endpoint => `${scheme}://${formatAddress(endpoint)}`);
    this.#where = `etcd at ${hosts.join(', ')}`;
    this.#etcd = new Etcd3({
      hosts,
      grpcOptions: {
        ...(tls === undefined ? {} : etcdTlsChannels(tls)),
        'grpc.max_receive_message_length': ETCD_MESSAGE_BYTES_MAX,
        // A frozen etcd or a dead link is found in 9 s. etcd closes connections that ping faster than 5 s.
        'grpc.keepalive_time_ms': 6_000,
        'grpc.keepalive_timeout_ms': 3_000,
        'grpc.keepalive_permit_without_calls': 1,
        // etcd3 would otherwise share connections, and their backoff, with other stores in the process.
        'grpc.use_local_subchannel_pool': 1,
      },
      defaultCallOptions: context =>
        context.isStream ? {} : { deadline: Date.now() + ETCD_CALL_MS_MAX },
      faultHandling: { host: () => once, global: nextHostUnlessSent(hosts.length) },
    });
  }

  async grantLease(ttlMs: number): Promise<StoreLease> {
    const TTL = Math.ceil(ttlMs / 1000);
    const granted = await this.#call(() => this.#etcd.leaseClient.leaseGrant({ TTL }));
    return { leaseId: granted.ID, ttlMs: Number(granted.TTL) * 1000 };
  }

  async keepAlive(leaseId: string): Promise<StoreLease> {
    const ttlSeconds = await this.#call(async () => {
      const options = { deadline: Date.now() + ETCD_CALL_MS_MAX };
      const stream = await this.#etcd.leaseClient.leaseKeepAlive(options);
      try {
        stream.write({ ID: leaseId });
        for await (const { TTL } of messagesOf<{ TTL: string }>(stream)) return Number(TTL);
        throw new Error('the keep-alive stream ended without an answer');
      } finally {
        hangUp(stream);
      }
    });
    if (ttlSeconds > 0) return { leaseId, ttlMs: ttlSeconds * 1000 };
    throw new MeshError('LEASE_NOT_FOUND', `lease "${leaseId}" has expired or never existed`);
  }

  async commit({ puts, deletes, expect = [] }: Commit): Promise<bigint> {
    const compare: ICompare[] = expect.map(({ key, revision }) => ({
      result: 'Equal',
      target: 'Mod',
      key: Buffer.from(key),
      mod_revision: String(revision),
    }));
    const success: IRequestOp[] = [
      ...puts.map(({ key, value, leaseId }) => ({
        request_put: {
          key: Buffer.from(key),
          value: Buffer.from(value),
          ...(leaseId === undefined ? {} : { lease: leaseId }),
        },
      })),
      ...deletes.map(key => ({ request_delete_range: { key: Buffer.from(key) } })),
    ];
    const { header, succeeded } = await this.#call(() => this.#etcd.kv.txn({ compare, success }));
    if (succeeded) return BigInt(header.revision);
    const keys = expect.map(({ key }) => `"${key}"`).join(', ');
    throw new MeshError(
      'REVISION_CONFLICT',
      `not all of ${keys} are as expected; read them again and decide anew`,
    );
  }

  /** Pages of one revision, from a quorum. */
  async snapshot(prefix: string): Promise<Snapshot> {
    const { kvs, ...position } = await this.#range(prefix, { limit: ETCD_PAGE_KEYS });
    this.#storeId = position.storeId;
    return { ...position, entries: kvs.map(entryOf) };
  }

  /** From a quorum too: a member that has been left alone does not answer. */
  async index(prefix: string): Promise<Index> {
    const page = { limit: ETCD_INDEX_PAGE_KEYS, keys_only: true };
    const { kvs, ...position } = await this.#range(prefix, page);
    const revisions = kvs.map(kv => [kv.key.toString(), BigInt(kv.mod_revision)] as const);
    return { ...position, revisions: new Map(revisions) };
  }

  async #range(
    prefix: string,
    page: { readonly limit: number; readonly keys_only?: boolean },
  ): Promise<StorePosition & { readonly kvs: readonly IKeyValue[] }> {
    const kvs: IKeyValue[] = [];
    const range_end = prefixEnd(prefix);
    let key = Buffer.from(prefix);
    let at: StorePosition | undefined;
    for (;;) {
      const request = { key, range_end, revision: String(at?.revision ?? 0n), ...page };
      const { header, kvs: found, more } = await this.#call(() => this.#etcd.kv.range(request));
      at ??= {
        storeId: header.cluster_id,
        term: BigInt(header.raft_term),
        revision: BigInt(header.revision),
      };
      kvs.push(...found);
      const last = found.at(-1);
      if (!more || last === undefined) return { ...at, kvs };
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  async *watch(
    prefix: string,
    afterRevision: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<Revision, void> {
    const options = { interceptors: [requireLeader] };
    const stream = await this.#call(() => this.#etcd.watchClient.watch(options));
    const cancel = (): void => hangUp(stream);
    const unanswered = setTimeout(cancel, ETCD_CALL_MS_MAX);
    signal.addEventListener('abort', cancel, { once: true });
    try {
      if (signal.aborted) return;
      const create: IWatchRequest = {
        create_request: {
          key: prefix === '' ? Buffer.of(0) : Buffer.from(prefix),
          range_end: prefixEnd(prefix),
          start_revision: String(afterRevision + 1n),
        },
      };
      stream.write(create);
      for await (const response of messagesOf<IWatchResponse>(stream)) {
        clearTimeout(unanswered);
        this.#refuseGap(response, afterRevision);
        yield* revisionsOf(response);
      }
      throw new Error('the watch stream ended');
    } catch (error) {
      if (!signal.aborted) throw this.#describe(error);
    } finally {
      clearTimeout(unanswered);
      signal.removeEventListener('abort', cancel);
      cancel();
    }
  }

  async close(): Promise<void> {
    this.#etcd.close();
  }

  /** Throws when the stream cannot be the continuation of what came before. */
  #refuseGap(response: IWatchResponse, afterRevision: bigint): void {
    const { cluster_id, revision } = response.header;
    const gap =
      response.compact_revision !== '0'
        ? `etcd has compacted its history up to revision ${response.compact_revision}`
        : this.#storeId !== undefined && cluster_id !== this.#storeId
          ? `etcd cluster "${this.#storeId}" has been replaced by "${cluster_id}"`
          : BigInt(revision) < afterRevision
            ? `etcd has gone back from revision ${afterRevision} to ${revision}`
            : undefined;
    if (gap !== undefined) throw new MeshError('REVISION_COMPACTED', gap);
    if (response.canceled) throw new Error(`watch canceled: ${response.cancel_reason}`);
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.#describe(error);
    }
  }

  #describe(error: unknown): MeshError {
    if (isMeshError(error)) return error;
    const options = { cause: error };
    const message = messageOf(error);
    if (error instanceof EtcdLeaseInvalidError || message.includes('requested lease not found')) {
      return new MeshError('LEASE_NOT_FOUND', 'the lease has expired or never existed', options);
    }
    if (message.includes('required revision has been compacted')) {
      return new MeshError('REVISION_COMPACTED', `${this.#where}: ${message}`, options);
    }
    if (/request is too large|too many operations|larger than max/.test(message)) {
      return new MeshError('LIMIT_EXCEEDED', `${this.#where}: ${message}`, options);
    }
    return new MeshError('STORE_UNAVAILABLE', `${this.#where}: ${message}`, options);
  }
}

function entryOf({ key, value, mod_revision, create_revision, lease }: IKeyValue): StoreEntry {
  return {
    key: key.toString(),
    value,
    revision: BigInt(mod_revision),
    created: BigInt(create_revision),
    leaseId: lease === '0' ? undefined : lease,
  };
}

/** Without fragments, which are not asked for, a response holds revisions whole. */
function* revisionsOf({ events }: IWatchResponse): Generator<Revision> {
  const byRevision = new Map<string, StoreEvent[]>();
  for (const { type, kv } of events) {
    const event: StoreEvent =
      type === 'Delete'
        ? { kind: 'delete', key: kv.key.toString() }
        : { kind: 'put', entry: entryOf(kv) };
    const same = byRevision.get(kv.mod_revision);
    if (same === undefined) byRevision.set(kv.mod_revision, [event]);
    else same.push(event);
  }
  for (const [revision, changes] of byRevision)
    yield { revision: BigInt(revision), events: changes };
}

/** The first key after every key with the prefix, which ends in "/"; etcd's word for none after "". */
function prefixEnd(prefix: string): Buffer {
  if (prefix === '') return Buffer.of(0);
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}
