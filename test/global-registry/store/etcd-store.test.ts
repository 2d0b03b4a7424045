import { expect } from 'chai';
import { Etcd3 } from 'etcd3';
import { EtcdStore } from '../../../src/global-registry/store/etcd-store.ts';
import type { RegistryStore } from '../../../src/global-registry/store/store.ts';
import { formatAddress, type SocketAddress } from '../../../src/mesh/address.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { findFreeAddress } from '../../../src/runtime/listen.ts';
import { sleep } from '../../../src/runtime/supervise.ts';
import { type Etcd, startEtcd } from '../../support/etcd.ts';
import { startFaultProxy } from '../fault-proxy.ts';
import { storeContract } from '../store-contract.ts';

describe('etcd store', function () {
  this.timeout(60_000);
  let etcd: Etcd;
  const opened = new Set<RegistryStore>();

  before(async () => {
    etcd = await startEtcd();
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    opened.clear();
  });
  after(() => etcd.stop());

  const open = (...endpoints: SocketAddress[]): EtcdStore => {
    const store = new EtcdStore(endpoints);
    opened.add(store);
    return store;
  };

  const put = (store: RegistryStore, key: string, bytes = 1): Promise<bigint> =>
    store.commit({ puts: [{ key, value: Buffer.alloc(bytes) }], deletes: [] });

  describe('keeps the contract', () => {
    storeContract(async () => {
      const store = open(etcd.address);
      return {
        store,
        compact: async () => {
          const { revision } = await store.snapshot('/');
          const raw = new Etcd3({ hosts: `http://${formatAddress(etcd.address)}` });
          await raw.kv.compact({ revision: String(revision) });
          raw.close();
        },
        crash: async () => {
          await etcd.kill();
          await etcd.restart();
          return open(etcd.address);
        },
      };
    });
  });

  it('loses no event of a replay that is cut again and again, where etcd3 alone does', async () => {
    const store = open(etcd.address);
    const prefix = '/replay/';
    const { revision } = await store.snapshot(prefix);
    const events = 3_000;
    for (let i = 0; i < events; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => put(store, `${prefix}${i + j}`, 60)));
    }
    const proxy = await startFaultProxy(etcd.address);
    const cutAt = [150_000, 100_000, 60_000];
    try {
      proxy.cutAfter(cutAt);
      const ours = open(proxy.address);
      const seen = new Map<string, number>();
      let at = revision;
      while (seen.size < events) {
        try {
          for await (const part of ours.watch(prefix, at, AbortSignal.timeout(20_000))) {
            at = part.revision;
            for (const event of part.events) {
              const key = event.kind === 'put' ? event.entry.key : event.key;
              seen.set(key, (seen.get(key) ?? 0) + 1);
            }
            if (seen.size === events) break;
          }
        } catch (error) {
          expect(isMeshError(error, 'STORE_UNAVAILABLE'), String(error)).to.equal(true);
          await sleep(20);
        }
      }
      expect(proxy.cuts).to.equal(cutAt.length);
      expect([...seen.values()].every(times => times === 1)).to.equal(true);

      expect(
        await seenByEtcd3(proxy.address, prefix, revision, () => proxy.cutAfter([100_000])),
      ).to.be.below(events);
    } finally {
      await proxy.stop();
    }
  });

  it('fails calls and watches within seconds while etcd is frozen, and works again after', async () => {
    const store = open(etcd.address);
    const revision = await put(store, '/frozen/a');
    const seen: bigint[] = [];
    const watched = (async () => {
      const watch = store.watch('/frozen/', revision - 1n, AbortSignal.timeout(30_000));
      for await (const part of watch) seen.push(part.revision);
    })().catch((thrown: unknown) => thrown);
    while (seen.length === 0) await sleep(10);
    etcd.freeze();
    try {
      const error = await put(store, '/frozen/a').catch((thrown: unknown) => thrown);
      expect(isMeshError(error, 'STORE_UNAVAILABLE'), String(error)).to.equal(true);
      const lost = await watched;
      expect(isMeshError(lost, 'STORE_UNAVAILABLE'), String(lost)).to.equal(true);
    } finally {
      etcd.thaw();
    }
    await put(store, '/frozen/a');
  });

  it('reads a prefix of more records than fit a page', async () => {
    const store = open(etcd.address);
    const puts = Array.from({ length: 100 }, (_, i) => ({
      key: `/pages/${i}`,
      value: Buffer.of(i),
    }));
    for (let page = 0; page < 5; page++) {
      await store.commit({
        puts: puts.map(put => ({ ...put, key: `${put.key}-${page}` })),
        deletes: [],
      });
    }
    const { entries } = await store.snapshot('/pages/');
    expect(new Set(entries.map(({ key }) => key)).size).to.equal(500);
  });

  it('refuses a value etcd finds too large without failing the next call', async () => {
    const store = open(etcd.address);
    for (let i = 0; i < 5; i++) {
      const error = await put(store, '/large', 2_000_000).catch((thrown: unknown) => thrown);
      expect(isMeshError(error, 'LIMIT_EXCEEDED'), String(error)).to.equal(true);
    }
    await put(store, '/large', 1_000);
  });

  it('uses the endpoints that answer, and says which when none does', async () => {
    const dead = await findFreeAddress('127.0.0.1');
    const store = open(dead, etcd.address);
    for (let i = 0; i < 10; i++) await store.commit({ puts: [], deletes: ['/none'] });
    const error = await open(dead)
      .snapshot('/')
      .catch((thrown: unknown) => thrown);
    expect(isMeshError(error, 'STORE_UNAVAILABLE'), String(error)).to.equal(true);
    expect(String(error)).to.include(formatAddress(dead));
  });
});

/** How many keys etcd3's own Watcher delivers when its stream is cut during the replay. */
async function seenByEtcd3(
  address: SocketAddress,
  prefix: string,
  after: bigint,
  arm: () => void,
): Promise<number> {
  const raw = new Etcd3({ hosts: `http://${formatAddress(address)}` });
  arm();
  const seen = new Set<string>();
  const watcher = raw
    .watch()
    .prefix(prefix)
    .startRevision(String(after + 1n))
    .watcher();
  let connections = 0;
  watcher.on('put', kv => seen.add(kv.key.toString()));
  watcher.on('connected', () => {
    connections += 1;
  });
  while (connections < 2) await sleep(20);
  // A key written now is delivered after everything the watcher still means to deliver.
  await raw.put(`${prefix}last`).value('');
  while (!seen.has(`${prefix}last`)) await sleep(20);
  await watcher.cancel();
  raw.close();
  seen.delete(`${prefix}last`);
  return seen.size;
}
