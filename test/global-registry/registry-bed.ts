/** Registry processes of one ClusterSet in this process, members that call them, and their operators. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RegistryClient } from '../../src/global-registry/client.ts';
import type { RegistryConfig } from '../../src/global-registry/config.ts';
import { createRegistry } from '../../src/global-registry/registry.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { registryId } from '../../src/mesh/spiffe-id.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { sleep, supervise } from '../../src/runtime/supervise.ts';
import { CLUSTERSET_ROOT_FILE } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { saveRoots } from '../../src/trust-federation/authority/root-file.ts';
import { saveSvid } from '../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import { RegistryOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/registry.ts';
import type { RegistryUpdate, WatchPosition } from '../../src/wire/registry-records.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';
import { CLUSTER_SET } from './records.ts';

const log = createLogger('test');
log.level = process.env['ISTHMUS_LOG'] ?? 'silent';

export interface Placed {
  readonly address: SocketAddress;
  readonly stateDir: string;
  readonly operator: RpcChannel;
  debug<T>(path: string): Promise<T>;
  stop(): Promise<void>;
}

interface StoreState {
  readonly storeId?: string;
  readonly frozen?: string;
}

export class RegistryBed {
  readonly authority = testAuthority(CLUSTER_SET, Date.now());
  readonly #dir: string;
  readonly #open = new Set<{ close(): unknown }>();
  readonly #running = new Set<Placed>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async create(): Promise<RegistryBed> {
    return new RegistryBed(await mkdtemp(join(tmpdir(), 'isthmus-registry-')));
  }

  /** `name` is that of its state directory; ready means that it has read its store, or is frozen. */
  async start(
    name: string,
    store: RegistryConfig['store'] = { kind: 'embedded' },
    configFile = 'registry.yaml',
    untilReady = true,
    now: () => number = Date.now,
  ): Promise<Placed> {
    const stateDir = join(this.#dir, name);
    await this.writeCredentials(stateDir);
    const anyPort = { host: '127.0.0.1', port: 0 };
    const config = { clusterSet: CLUSTER_SET, listen: anyPort, admin: anyPort, stateDir, store };
    const registry = await createRegistry(config, stateDir, log, configFile, now);
    const stop = new AbortController();
    const settled = supervise(registry.tasks, stop.signal);
    const socketPath = join(stateDir, 'operator.sock');
    const operator = new RpcChannel(RegistryOperatorDefinition, { socketPath });
    const placed: Placed = {
      address: registry.address,
      stateDir,
      operator,
      debug: async <T>(path: string) =>
        (await (await fetch(`http://${formatAddress(registry.admin)}${path}`)).json()) as T,
      stop: async () => {
        this.#running.delete(placed);
        operator.close();
        stop.abort();
        await settled;
      },
    };
    this.#running.add(placed);
    while (untilReady) {
      const { storeId, frozen } = await placed.debug<StoreState>('/debug/store');
      if (storeId !== undefined || frozen !== undefined) break;
      await sleep(10);
    }
    return placed;
  }

  /** As whoever renews them would. */
  async writeCredentials(stateDir: string): Promise<void> {
    const identity = join(stateDir, 'identity');
    await saveSvid(identity, testSvid(this.authority, 'registry', Date.now()));
    await saveRoots(join(identity, CLUSTERSET_ROOT_FILE), this.authority.bundle);
  }

  clientOf(cluster: string, ...registries: readonly Placed[]): RegistryClient {
    const svid = testSvid(this.authority, `cluster/${cluster}`, Date.now());
    const tls = () =>
      meshRpcTls(svid, this.authority.bundle, exactly(registryId(CLUSTER_SET)), Date.now);
    const addresses = registries.map(({ address }) => address);
    const client = new RegistryClient({ addresses, tls, log });
    this.#open.add(client);
    return client;
  }

  channelOf(
    cluster: string,
    registry: Placed,
    definition: { readonly fullName: string },
  ): RpcChannel {
    const svid = testSvid(this.authority, `cluster/${cluster}`, Date.now());
    const tls = meshRpcTls(svid, this.authority.bundle, exactly(registryId(CLUSTER_SET)), Date.now);
    const channel = new RpcChannel(definition, { address: registry.address, tls });
    this.#open.add(channel);
    return channel;
  }

  /** Stops everything; the state directories stay. */
  async reset(): Promise<void> {
    for (const each of this.#open) each.close();
    this.#open.clear();
    await Promise.all([...this.#running].map(registry => registry.stop()));
  }

  async close(): Promise<void> {
    await this.reset();
    await rm(this.#dir, { recursive: true });
  }
}

/** The first update of a watch. */
export async function next(client: RegistryClient, from?: WatchPosition): Promise<RegistryUpdate> {
  for await (const update of client.watch(from, AbortSignal.timeout(10_000))) return update;
  throw new Error('the watch ended');
}

/** `<cluster> <kind or service>` of what a client sees in the whole table. */
export async function seenBy(client: RegistryClient): Promise<string[]> {
  const update = await next(client);
  if (update.kind !== 'replace-all') throw new Error(`got ${update.kind}`);
  return update.records
    .map(({ cluster, record }) =>
      record.kind === 'export-slice'
        ? `${cluster} ${record.slice.namespace}/${record.slice.name}`
        : `${cluster} ${record.kind}`,
    )
    .sort();
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    return isMeshError(error) ? error.code : String(error);
  }
}

export async function eventually(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition never came true');
    await sleep(20);
  }
}
