/** Two registry processes on an etcd of three members: what clients see while parts of it go away. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Etcd3 } from 'etcd3';
import { EtcdCluster } from '../../soak/registry/etcd-cluster.ts';
import { ProcessSet } from '../../src/cli/demo/processes.ts';
import { KEY_PREFIX } from '../../src/global-registry/keys.ts';
import { EtcdStore } from '../../src/global-registry/store/etcd-store.ts';
import { formatAddress } from '../../src/mesh/address.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import type { WatchPosition } from '../../src/wire/registry-records.ts';
import { configOf, sliceOf, trustDomainOf } from './records.ts';
import { codeOf, eventually, type Placed, RegistryBed, seenBy } from './registry-bed.ts';

describe('several registry processes on one etcd', function () {
  this.timeout(120_000);
  let dir: string;
  let processes: ProcessSet;
  let etcd: EtcdCluster;
  let bed: RegistryBed;
  let one: Placed;
  let two: Placed;
  let counter = 0;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-several-'));
    processes = new ProcessSet(dir);
    etcd = await EtcdCluster.start(processes, dir);
    bed = await RegistryBed.create();
  });
  beforeEach(async () => {
    const store = { kind: 'etcd' as const, endpoints: etcd.members.map(({ client }) => client) };
    [one, two] = [await bed.start(`a${counter}`, store), await bed.start(`b${counter}`, store)];
    counter += 1;
  });
  afterEach(() => bed.reset());
  after(async () => {
    await bed.close();
    await processes.stopAll();
    await rm(dir, { recursive: true });
  });

  it('a client that moves from one to the other misses no change and sees none twice', async () => {
    const east = bed.clientOf('east', two);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    const watcher = bed.clientOf('west', one, two);
    const counts: number[] = [];
    let position: WatchPosition | undefined;
    const kinds: string[] = [];
    const watching = (async () => {
      while (counts.at(-1) !== 40) {
        try {
          for await (const update of watcher.watch(position, AbortSignal.timeout(60_000))) {
            kinds.push(update.kind);
            position = update.position;
            for (const change of update.kind === 'changes' ? update.changes : []) {
              if (change.kind !== 'put' || change.stored.record.kind !== 'export-slice') continue;
              counts.push(change.stored.record.slice.endpoints.length);
            }
            if (counts.at(-1) === 40) return;
          }
        } catch (error) {
          if (!isMeshError(error)) throw error;
          await sleep(20);
        }
      }
    })();
    while (position === undefined) await sleep(5);
    for (let endpoints = 1; endpoints <= 40; endpoints++) {
      await east.publish({ puts: [sliceOf('east', { endpoints })], deletes: [] });
      if (endpoints === 15) await one.stop();
    }
    await watching;
    expect(counts).to.deep.equal(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(kinds.filter(kind => kind === 'replace-all')).to.have.length(1);
  });

  it('a trust domain claimed through both at once goes to one cluster', async () => {
    const domain = trustDomainOf('contested');
    const claims = [
      ['north', one],
      ['south', two],
    ] as const;
    const results = await Promise.all(
      claims.map(([cluster, registry]) =>
        codeOf(
          bed
            .clientOf(cluster, registry)
            .publish({ puts: [configOf(cluster, domain)], deletes: [] }),
        ),
      ),
    );
    expect(results).to.have.members(['ok', 'PERMISSION_DENIED']);
  });

  it('both go on when the leader of etcd is killed, and hide nothing that was there', async () => {
    const east = bed.clientOf('east', one, two);
    await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
    const leader = await etcd.leader();
    await etcd.kill(leader);
    for (const registry of [one, two]) {
      expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
    }
    await eventually(
      async () =>
        (await codeOf(east.publish({ puts: [sliceOf('east', { endpoints: 7 })], deletes: [] }))) ===
        'ok',
    );
    const endpointsAt = async (registry: Placed): Promise<number> => {
      for await (const update of bed
        .clientOf('west', registry)
        .watch(undefined, AbortSignal.timeout(5_000))) {
        if (update.kind !== 'replace-all') return 0;
        const slices = update.records.flatMap(({ cluster, record }) =>
          cluster === 'east' && record.kind === 'export-slice' ? [record.slice] : [],
        );
        return slices[0]?.endpoints.length ?? 0;
      }
      return 0;
    };
    await eventually(async () => (await endpointsAt(one)) === 7 && (await endpointsAt(two)) === 7);
    await etcd.restart(leader);
    await etcd.leader();
  });

  it('both go on while the leader of etcd stands still, and hide nothing that was there', async () => {
    const east = bed.clientOf('east', one, two);
    await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
    const leader = await etcd.leader();
    etcd.freeze(leader);
    try {
      for (const registry of [one, two]) {
        expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
      }
      await eventually(
        async () =>
          (await codeOf(
            east.publish({ puts: [sliceOf('east', { endpoints: 5 })], deletes: [] }),
          )) === 'ok',
      );
    } finally {
      etcd.thaw(leader);
    }
    for (const registry of [one, two]) {
      expect(await seenBy(bed.clientOf('west', registry))).to.include('east shop/cart');
    }
  });

  it('history compacted away under a watch costs nobody a change', async () => {
    const east = bed.clientOf('east', two);
    await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
    const west = bed.clientOf('west', one);
    await eventually(async () => (await seenBy(west)).includes('east shop/cart'));
    const cart = { kind: 'export-slice', namespace: 'shop', name: 'cart', slice: 0 };
    await east.publish({ puts: [], deletes: [cart as never] });
    await etcd.compact();
    await east.publish({ puts: [sliceOf('east', { name: 'next' })], deletes: [] });
    await eventually(async () => (await seenBy(west)).includes('east shop/next'));
    expect(await seenBy(west)).to.not.include('east shop/cart');
  });

  it('history compacted away while nobody watched is no deletion missed', async () => {
    const east = bed.clientOf('east', two);
    await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
    await eventually(async () =>
      (await seenBy(bed.clientOf('west', one))).includes('east shop/cart'),
    );
    await one.stop();
    const cart = { kind: 'export-slice', namespace: 'shop', name: 'cart', slice: 0 };
    const revision = await east.publish({ puts: [], deletes: [cart as never] });
    const hosts = etcd.members.map(({ client }) => `http://${formatAddress(client)}`);
    const raw = new Etcd3({ hosts });
    await raw.kv.compact({ revision: String(revision) });
    raw.close();
    const store = { kind: 'etcd' as const, endpoints: etcd.members.map(({ client }) => client) };
    one = await bed.start(`a${counter - 1}`, store);
    expect(await seenBy(bed.clientOf('west', one))).to.not.include('east shop/cart');
  });

  it('a commit that etcd applies late undoes none that came after it', async () => {
    const store = new EtcdStore(etcd.members.map(({ client }) => client));
    const key = `${KEY_PREFIX}domains/late.example`;
    const write = (value: string, revision: bigint): Promise<bigint> =>
      store.commit({
        puts: [{ key, value: Buffer.from(value) }],
        deletes: [],
        expect: [{ key, revision }],
      });
    const first = await write('first', 0n);
    etcd.freeze(...etcd.members);
    try {
      expect(await codeOf(write('late', first))).to.equal('STORE_UNAVAILABLE');
    } finally {
      etcd.thaw(...etcd.members);
    }
    const revisionNow = async (): Promise<bigint> => {
      const { entries } = await store.snapshot(`${KEY_PREFIX}domains/`);
      return entries.find(entry => entry.key === key)?.revision ?? 0n;
    };
    await eventually(
      async () => (await codeOf(revisionNow().then(at => write('newest', at)))) === 'ok',
    );
    // Whatever of the frozen calls is still on its way arrives within etcd's own time for a request.
    await sleep(3_000);
    const { entries } = await store.snapshot(`${KEY_PREFIX}domains/`);
    expect(Buffer.from(entries.find(entry => entry.key === key)?.value ?? '').toString()).to.equal(
      'newest',
    );
    await store.commit({ puts: [], deletes: [key] });
    await store.close();
  });

  it('a full etcd refuses writes with its reason while reads go on', async () => {
    const east = bed.clientOf('east', one);
    await east.publish({ puts: [configOf('east'), sliceOf('east')], deletes: [] });
    const raw = new Etcd3({
      hosts: etcd.members.map(({ client }) => `http://${formatAddress(client)}`),
    });
    const { header } = await raw.kv.range({ key: Buffer.from('/') });
    const memberID = header.member_id;
    await raw.maintenance.alarm({ action: 'Activate', memberID, alarm: 'Nospace' });
    try {
      const refused = await east
        .publish({ puts: [sliceOf('east', { endpoints: 3 })], deletes: [] })
        .catch((thrown: unknown) => thrown);
      expect(isMeshError(refused, 'STORE_UNAVAILABLE') && refused.message).to.include('space');
      expect(await seenBy(bed.clientOf('west', two))).to.include('east shop/cart');
    } finally {
      await raw.maintenance.alarm({ action: 'Deactivate', memberID, alarm: 'Nospace' });
      raw.close();
    }
    await eventually(
      async () =>
        (await codeOf(east.publish({ puts: [sliceOf('east', { endpoints: 3 })], deletes: [] }))) ===
        'ok',
    );
  });
});
