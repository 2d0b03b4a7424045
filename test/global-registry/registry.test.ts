import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { RegistryClient } from '../../src/global-registry/client.ts';
import type { RegistryConfig } from '../../src/global-registry/config.ts';
import { createRegistry, type Registry } from '../../src/global-registry/registry.ts';
import { formatAddress, type SocketAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { registryId } from '../../src/mesh/spiffe-id.ts';
import { findFreeAddress } from '../../src/runtime/listen.ts';
import { createLogger } from '../../src/runtime/log.ts';
import { RpcChannel } from '../../src/runtime/rpc-client.ts';
import { sleep, supervise } from '../../src/runtime/supervise.ts';
import { CLUSTERSET_ROOT_FILE } from '../../src/trust-federation/authority/clusterset-authority.ts';
import { saveRoots } from '../../src/trust-federation/authority/root-file.ts';
import { type Svid, saveSvid } from '../../src/trust-federation/identity/svid.ts';
import { exactly } from '../../src/trust-federation/peers/authorizer.ts';
import { meshRpcTls } from '../../src/trust-federation/peers/tls.ts';
import {
  PublishRequest,
  RegistryDefinition,
} from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import {
  formatRecord,
  type RegistryRecord,
  type RegistryUpdate,
  type WatchPosition,
} from '../../src/wire/registry-records.ts';
import { CLUSTER_SET_AUTHORITY, memberSvid } from '../support/cluster-set.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';
import { bundleRecordOf, CLUSTER_SET, configOf, sliceOf, trustDomainOf } from './records.ts';

const log = createLogger('test');
log.level = 'silent';

const authority = CLUSTER_SET_AUTHORITY;
const synced: RegistryRecord = { kind: 'synced', instance: 'i1' };
const alive: RegistryRecord = { kind: 'alive', instance: 'i1' };

interface Running {
  readonly address: SocketAddress;
  readonly admin: SocketAddress;
  stop(): Promise<void>;
}

async function start(
  stateDir: string,
  store: RegistryConfig['store'] = { kind: 'embedded' },
  listen: SocketAddress = { host: '127.0.0.1', port: 0 },
): Promise<Running> {
  const identity = join(stateDir, 'identity');
  await saveSvid(identity, testSvid(authority, 'registry', Date.now()));
  await saveRoots(join(identity, CLUSTERSET_ROOT_FILE), authority.bundle);
  const admin = { host: '127.0.0.1', port: 0 };
  const config = { clusterSet: CLUSTER_SET, listen, admin, stateDir, store };
  const registry: Registry = await createRegistry(config, stateDir, log, 'registry.yaml');
  const stop = new AbortController();
  const running = supervise(registry.tasks, stop.signal);
  return {
    ...registry,
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

function tlsOf(svid: Svid) {
  return meshRpcTls(svid, authority.bundle, exactly(registryId(CLUSTER_SET)), Date.now);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'ok';
  } catch (error) {
    return isMeshError(error) ? error.code : String(error);
  }
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition never came true');
    await sleep(20);
  }
}

describe('registry', function () {
  this.timeout(60_000);
  let root: string;
  let counter = 0;
  const clients = new Set<RegistryClient>();
  const running = new Set<Running>();

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'isthmus-registry-'));
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    clients.clear();
    for (const registry of running) await registry.stop();
    running.clear();
  });
  after(() => rm(root, { recursive: true }));

  const stateDir = (): string => join(root, String(counter++));
  const run = async (...options: Parameters<typeof start>): Promise<Running> => {
    const registry = await start(...options);
    running.add(registry);
    return registry;
  };
  const halt = async (registry: Running): Promise<void> => {
    running.delete(registry);
    await registry.stop();
  };
  const clientOf = (cluster: string, ...addresses: SocketAddress[]): RegistryClient => {
    const client = new RegistryClient({ addresses, tls: () => tlsOf(memberSvid(cluster)), log });
    clients.add(client);
    return client;
  };
  const debug = async (registry: Running, path: string): Promise<unknown> =>
    (await fetch(`http://${formatAddress(registry.admin)}${path}`)).json();
  const isReady = async (registry: Running): Promise<boolean> =>
    ((await debug(registry, '/ready')) as { ready: boolean }).ready;
  const recordsOf = async (registry: Running): Promise<string[]> => {
    const records = (await debug(registry, '/debug/records')) as {
      cluster: string;
      record: string;
    }[];
    return records.map(({ cluster, record }) => `${cluster} ${record}`).sort();
  };
  const next = async (client: RegistryClient, from?: WatchPosition): Promise<RegistryUpdate> => {
    for await (const update of client.watch(from, AbortSignal.timeout(10_000))) return update;
    throw new Error('the watch ended');
  };

  describe('on its embedded store', () => {
    let dir: string;
    let registry: Running;

    beforeEach(async () => {
      dir = stateDir();
      registry = await run(dir);
      await eventually(() => isReady(registry));
    });

    it('keeps what clusters publish and tells every watcher', async () => {
      const east = clientOf('east', registry.address);
      const west = clientOf('west', registry.address);
      await west.publish({ puts: [configOf('west')], deletes: [] });
      const seen: RegistryUpdate[] = [];
      const stop = new AbortController();
      for await (const update of east.watch(undefined, stop.signal)) {
        seen.push(update);
        if (seen.length === 1) {
          const { leaseId } = await west.grantLease(10_000);
          const puts = [bundleRecordOf('west'), sliceOf('west'), synced, alive];
          await west.publish({ puts, deletes: [], leaseId });
          await west.publish({ puts: [], deletes: [{ kind: 'synced' }] });
        }
        if (seen.length === 3) stop.abort();
      }
      expect(seen.map(({ kind }) => kind)).to.deep.equal(['replace-all', 'changes', 'changes']);
      const [table, published, deleted] = seen;
      expect(table?.kind === 'replace-all' && table.records[0]?.record).to.deep.equal(
        configOf('west'),
      );
      const puts = published?.kind === 'changes' ? published.changes : [];
      expect(puts.map(c => (c.kind === 'put' ? c.stored.record : c))).to.deep.include.members([
        sliceOf('west'),
        synced,
        alive,
      ]);
      expect(deleted?.kind === 'changes' && deleted.changes).to.deep.equal([
        { kind: 'delete', cluster: 'west', id: { kind: 'synced' } },
      ]);
      expect(await recordsOf(registry)).to.deep.equal([
        'west alive',
        'west bundle',
        'west config',
        'west exports/shop/cart/0',
      ]);
    });

    it("lets no cluster write another's records, and each write its own", async () => {
      const east = clientOf('east', registry.address);
      const west = clientOf('west', registry.address);
      await west.publish({ puts: [configOf('west'), synced], deletes: [] });
      const asWest = { puts: [configOf('west')], deletes: [] };
      expect(await codeOf(east.publish(asWest))).to.equal('PERMISSION_DENIED');
      const takenDomain = { puts: [configOf('east', trustDomainOf('west'))], deletes: [] };
      expect(await codeOf(east.publish(takenDomain))).to.equal('PERMISSION_DENIED');
      expect(await codeOf(east.publish({ puts: [], deletes: [{ kind: 'synced' }] }))).to.equal(
        'ok',
      );
      expect(await recordsOf(registry)).to.deep.equal(['west config', 'west synced']);
      expect(await codeOf(east.publish({ puts: [configOf('east')], deletes: [] }))).to.equal('ok');
      const stolen = {
        puts: [sliceOf('east', { trustDomain: trustDomainOf('west') })],
        deletes: [],
      };
      expect(await codeOf(east.publish(stolen))).to.equal('PERMISSION_DENIED');
      expect(await codeOf(east.publish({ puts: [sliceOf('east')], deletes: [] }))).to.equal('ok');
    });

    it('gives one trust domain to one of two clusters that claim it at once', async () => {
      const domain = trustDomainOf('shared');
      const claims = ['east', 'west'].map(cluster =>
        codeOf(
          clientOf(cluster, registry.address).publish({
            puts: [configOf(cluster, domain)],
            deletes: [],
          }),
        ),
      );
      expect(await Promise.all(claims)).to.have.members(['ok', 'PERMISSION_DENIED']);
    });

    it("keeps no other cluster's lease alive, and lets only the alive record go with it", async () => {
      const east = clientOf('east', registry.address);
      const west = clientOf('west', registry.address);
      const { leaseId, ttlMs } = await east.grantLease(10);
      expect(ttlMs).to.equal(1_000);
      expect(await codeOf(west.keepAlive(leaseId))).to.equal('LEASE_NOT_FOUND');
      const stolen = { puts: [configOf('west'), alive], deletes: [], leaseId };
      expect(await codeOf(west.publish(stolen))).to.equal('LEASE_NOT_FOUND');
      expect(await codeOf(east.keepAlive(leaseId))).to.equal('ok');
      await east.publish({ puts: [configOf('east'), synced, alive], deletes: [], leaseId });
      expect(await recordsOf(registry)).to.include('east alive');
      await eventually(async () => !(await recordsOf(registry)).includes('east alive'));
      expect(await recordsOf(registry)).to.deep.equal(['east config', 'east synced']);
      expect(await codeOf(east.keepAlive(leaseId))).to.equal('LEASE_NOT_FOUND');
    });

    it('refuses whoever is no member cluster before any call, and counts why', async () => {
      const stranger = testAuthority(CLUSTER_SET, Date.now());
      const refused: readonly (readonly [string, Svid])[] = [
        ["the ClusterSet's own registry", testSvid(authority, 'registry', Date.now())],
        ['a workload of the ClusterSet', testSvid(authority, 'ns/a/sa/b', Date.now())],
        [
          "a workload of a cluster, by the cluster's root",
          testSvid(testAuthority('east.example', Date.now()), 'ns/a/sa/b', Date.now()),
        ],
        ['a member by another root', testSvid(stranger, 'cluster/east', Date.now())],
        [
          'a member whose certificate has expired',
          testSvid(authority, 'cluster/east', Date.now() - 7_200_000),
        ],
      ];
      for (const [who, svid] of refused) {
        const channel = new RpcChannel(RegistryDefinition, {
          address: registry.address,
          tls: tlsOf(svid),
        });
        const request = PublishRequest.fromPartial({
          puts: [Buffer.from(formatRecord(configOf('east')))],
        });
        const call = channel.unary(RegistryDefinition.methods.publish, request, {
          deadlineMs: 3_000,
        });
        expect(await codeOf(call), who).to.be.oneOf(['PEER_UNAVAILABLE', 'DEADLINE_EXCEEDED']);
        channel.close();
      }
      const { host, port } = registry.address;
      const anonymous = connectTls({
        host,
        port,
        rejectUnauthorized: false,
        ALPNProtocols: ['h2'],
      });
      anonymous.on('error', () => undefined).resume();
      await new Promise(resolve => anonymous.once('close', resolve));
      const metrics = await fetch(`http://${formatAddress(registry.admin)}/metrics`).then(r =>
        r.text(),
      );
      expect(metrics).to.match(/refused_peers_total\{reason="not-authorized",[^}]*\} [1-9]/);
      expect(metrics).to.match(/refused_peers_total\{reason="chain-empty",[^}]*\} [1-9]/);
      expect(metrics).to.not.match(/publishes_total\{/);
      const member = clientOf('east', registry.address);
      expect(await codeOf(member.publish({ puts: [configOf('east')], deletes: [] }))).to.equal(
        'ok',
      );
    });

    it('goes on after a restart: records, leases and watches', async () => {
      const east = clientOf('east', registry.address);
      const { leaseId } = await east.grantLease(20_000);
      await east.publish({ puts: [configOf('east'), synced, alive], deletes: [], leaseId });
      const { position } = await next(east);
      const address = registry.address;
      await halt(registry);
      expect(await codeOf(east.keepAlive(leaseId))).to.equal('PEER_UNAVAILABLE');
      registry = await run(dir, { kind: 'embedded' }, address);
      await eventually(() => isReady(registry));
      expect(await codeOf(east.keepAlive(leaseId))).to.equal('ok');
      expect(await next(east, position)).to.deep.include({ kind: 'changes', changes: [] });
      await east.publish({ puts: [sliceOf('east')], deletes: [] });
      const update = await next(east, position);
      expect(update.kind === 'changes' && update.changes).to.have.length(1);
    });

    it('ends watches when it stops, and clients move on to the next registry', async () => {
      const other = await run(stateDir());
      await eventually(() => isReady(other));
      const east = clientOf('east', registry.address, other.address);
      const updates = east.watch(undefined, AbortSignal.timeout(10_000));
      const first = await updates.next();
      await halt(registry);
      expect(await codeOf(updates.next())).to.equal('PEER_UNAVAILABLE');
      const second = await next(east, first.value?.position);
      expect(second.kind).to.equal('replace-all');
      expect(second.position.storeId).to.not.equal(first.value?.position.storeId);
      expect(await codeOf(east.publish({ puts: [configOf('east')], deletes: [] }))).to.equal('ok');
    });
  });

  describe('on etcd', () => {
    let etcd: Etcd;

    before(async () => {
      etcd = await startEtcd();
    });
    after(() => etcd.stop());

    it('serves reads and refuses writes while etcd is away, and withdraws nothing', async () => {
      const store = { kind: 'etcd' as const, endpoints: [etcd.address] };
      const [one, two] = [await run(stateDir(), store), await run(stateDir(), store)];
      await eventually(async () => (await isReady(one)) && (await isReady(two)));
      const east = clientOf('east', one.address);
      await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
      const west = clientOf('west', two.address);
      await eventually(async () => (await recordsOf(two)).length === 2);
      const { position } = await next(west);
      await etcd.kill();
      const publication = { puts: [sliceOf('east', { slice: 1 })], deletes: [] };
      expect(await codeOf(east.publish(publication))).to.equal('STORE_UNAVAILABLE');
      const table = await next(west);
      expect(table.kind === 'replace-all' && table.records.length).to.equal(2);
      await etcd.restart();
      await eventually(async () => (await codeOf(east.publish(publication))) === 'ok');
      const updates = west.watch(position, AbortSignal.timeout(15_000));
      for await (const update of updates) {
        expect(update.kind).to.equal('changes');
        const changes = update.kind === 'changes' ? update.changes : [];
        expect(changes.every(({ kind }) => kind === 'put')).to.equal(true);
        if (changes.length > 0) break;
      }
    });
  });

  it('refuses to start with an identity that is not the registry of its ClusterSet', async () => {
    const dir = stateDir();
    const elsewhere = { kind: 'embedded' as const };
    await saveSvid(join(dir, 'identity'), memberSvid('east'));
    await saveRoots(join(dir, 'identity', CLUSTERSET_ROOT_FILE), authority.bundle);
    const address = await findFreeAddress('127.0.0.1');
    const config = {
      clusterSet: CLUSTER_SET,
      listen: address,
      admin: address,
      stateDir: dir,
      store: elsewhere,
    };
    expect(await codeOf(createRegistry(config, dir, log, 'registry.yaml'))).to.equal(
      'CERTIFICATE_INVALID',
    );
  });
});
