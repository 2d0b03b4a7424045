/**
 * The contract of a registry store, run over every implementation: its guarantees, by name (store.ts).
 */

import { expect } from 'chai';
import type { RegistryStore, Revision, StoreEvent } from '../../src/global-registry/store/store.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { sleep } from '../../src/runtime/supervise.ts';

export interface StoreUnderTest {
  readonly store: RegistryStore;
  /** Makes the store forget its history up to here. */
  compact(): Promise<void>;
  /** The same data in a new process: what is left after a crash. */
  crash(): Promise<RegistryStore>;
}

/** `open` gives an empty store each time, or one whose keys do not meet those of earlier tests. */
export function storeContract(open: () => Promise<StoreUnderTest>): void {
  let subject: StoreUnderTest;
  let store: RegistryStore;
  let prefix: string;
  let counter = 0;

  beforeEach(async () => {
    subject = await open();
    store = subject.store;
    prefix = `/contract/${counter++}/`;
  });

  const put = (name: string, value: string, leaseId?: string) => ({
    key: prefix + name,
    value: Buffer.from(value),
    ...(leaseId === undefined ? {} : { leaseId }),
  });
  const commit = (name: string, value: string, leaseId?: string): Promise<bigint> =>
    store.commit({ puts: [put(name, value, leaseId)], deletes: [] });
  const table = async (from: RegistryStore = store): Promise<Record<string, string>> => {
    const { entries } = await from.snapshot(prefix);
    return Object.fromEntries(
      entries.map(({ key, value }) => [key.slice(prefix.length), Buffer.from(value).toString()]),
    );
  };
  const describe_ = (event: StoreEvent): string =>
    event.kind === 'put'
      ? `+${event.entry.key.slice(prefix.length)}=${Buffer.from(event.entry.value).toString()}`
      : `-${event.key.slice(prefix.length)}`;

  /** Reads revisions until `enough` says so. */
  async function watchUntil(
    after: bigint,
    enough: (seen: readonly Revision[]) => boolean,
    from: RegistryStore = store,
  ): Promise<Revision[]> {
    const seen: Revision[] = [];
    for await (const revision of from.watch(prefix, after, AbortSignal.timeout(15_000))) {
      seen.push(revision);
      if (enough(seen)) break;
    }
    return seen;
  }

  async function codeOf(promise: Promise<unknown>): Promise<string> {
    try {
      await promise;
      return 'ok';
    } catch (error) {
      return isMeshError(error) ? error.code : String(error);
    }
  }

  it('durable: what was acknowledged is there after a crash, in the same key space', async () => {
    const before = await store.snapshot(prefix);
    const { leaseId } = await store.grantLease(30_000);
    await commit('a', '1');
    const revision = await commit('b', '2', leaseId);
    const reopened = await subject.crash();
    const after = await reopened.snapshot(prefix);
    expect(await table(reopened)).to.deep.equal({ a: '1', b: '2' });
    expect(after.storeId).to.equal(before.storeId);
    expect(after.revision >= revision).to.equal(true);
    expect((await reopened.keepAlive(leaseId)).leaseId).to.equal(leaseId);
  });

  it('atomic: a commit has one revision, and is seen whole by snapshots and watches', async () => {
    await commit('old', 'x');
    const revision = await store.commit({
      puts: [put('a', '1'), put('b', '2')],
      deletes: [`${prefix}old`],
    });
    expect(await table()).to.deep.equal({ a: '1', b: '2' });
    const { entries } = await store.snapshot(prefix);
    expect(entries.map(entry => entry.revision)).to.deep.equal([revision, revision]);
    const [seen] = await watchUntil(revision - 1n, () => true);
    expect(seen?.revision).to.equal(revision);
    expect(seen?.events.map(describe_).sort()).to.deep.equal(['+a=1', '+b=2', '-old']);
  });

  it('atomic: a commit with a lease that does not exist changes nothing', async () => {
    const { leaseId } = await store.grantLease(30_000);
    const refused = store.commit({ puts: [put('a', '1'), put('b', '2', '123456')], deletes: [] });
    expect(await codeOf(refused)).to.equal('LEASE_NOT_FOUND');
    expect(await table()).to.deep.equal({});
    await store.commit({ puts: [put('a', '1'), put('b', '2', leaseId)], deletes: [] });
    expect(await table()).to.deep.equal({ a: '1', b: '2' });
  });

  it('conditional: a commit happens when every expectation holds, and else not at all', async () => {
    const first = await commit('a', '1');
    const replace = (revision: bigint) =>
      store.commit({
        puts: [put('a', '2'), put('b', '2')],
        deletes: [],
        expect: [
          { key: `${prefix}a`, revision },
          { key: `${prefix}b`, revision: 0n },
        ],
      });
    expect(await codeOf(replace(first - 1n))).to.equal('REVISION_CONFLICT');
    expect(await codeOf(replace(0n))).to.equal('REVISION_CONFLICT');
    expect(await table()).to.deep.equal({ a: '1' });
    const second = await replace(first);
    expect(await table()).to.deep.equal({ a: '2', b: '2' });
    expect(await codeOf(replace(second))).to.equal('REVISION_CONFLICT');
    const remove = { puts: [], deletes: [`${prefix}a`] };
    const expectation = { key: `${prefix}a`, revision: second };
    await store.commit({ ...remove, expect: [expectation] });
    expect(await codeOf(store.commit({ ...remove, expect: [expectation] }))).to.equal(
      'REVISION_CONFLICT',
    );
  });

  it('conditional: of many that expect the same revision exactly one happens', async () => {
    const revision = await commit('a', '0');
    const attempts = Array.from({ length: 20 }, (_, i) =>
      codeOf(
        store.commit({
          puts: [put('a', String(i))],
          deletes: [],
          expect: [{ key: `${prefix}a`, revision }],
        }),
      ),
    );
    const results = await Promise.all(attempts);
    expect(results.filter(result => result === 'ok')).to.have.length(1);
    expect(results.filter(result => result === 'REVISION_CONFLICT')).to.have.length(19);
  });

  it('ordered and reliable: a watch yields every revision of its prefix, ascending', async () => {
    const { revision } = await store.snapshot(prefix);
    const watching = watchUntil(revision, seen => seen.length === 30);
    const committed: bigint[] = [];
    for (let i = 0; i < 30; i++) {
      committed.push(await commit('k', String(i)));
      await store.commit({ puts: [{ key: '/elsewhere', value: Buffer.of(i) }], deletes: [] });
    }
    expect((await watching).map(seen => seen.revision)).to.deep.equal(committed);
  });

  it('dense: a watch of everything sees every revision, each one more than the last', async () => {
    const { revision } = await store.snapshot(prefix);
    const { leaseId } = await store.grantLease(60_000);
    await commit('a', '1', leaseId);
    await store.commit({ puts: [], deletes: ['/none'] });
    await store.commit({ puts: [{ key: '/elsewhere', value: Buffer.of(1) }], deletes: [] });
    await commit('a', '1');
    const last = await store.commit({ puts: [put('b', '2')], deletes: [`${prefix}a`] });
    const seen: bigint[] = [];
    for await (const part of store.watch('', revision, AbortSignal.timeout(15_000))) {
      seen.push(part.revision);
      if (part.revision === last) break;
    }
    expect(seen).to.deep.equal(
      Array.from({ length: Number(last - revision) }, (_, i) => revision + BigInt(i + 1)),
    );
  });

  it('unique and resumable: watches resumed again and again yield every revision exactly once', async () => {
    const { revision } = await store.snapshot(prefix);
    const committed: bigint[] = [];
    for (let i = 0; i < 50; i++) committed.push(await commit(`k${i}`, String(i)));
    const seen: bigint[] = [];
    while (seen.length < committed.length) {
      const step = await watchUntil(
        seen.at(-1) ?? revision,
        part => part.length === 7 || part.at(-1)?.revision === committed.at(-1),
      );
      seen.push(...step.map(part => part.revision));
    }
    expect(seen).to.deep.equal(committed);
  });

  it('resumable: a watch continues in a new process from a revision of the old one', async () => {
    await commit('a', '1');
    const revision = await commit('b', '2');
    await commit('c', '3');
    const reopened = await subject.crash();
    await reopened.commit({ puts: [put('d', '4')], deletes: [] });
    const seen = await watchUntil(revision, part => part.length === 2, reopened);
    expect(seen.flatMap(part => part.events.map(describe_))).to.deep.equal(['+c=3', '+d=4']);
  });

  it('reliable: a watch from a forgotten revision is refused, one from a held revision is not', async () => {
    const forgotten = await commit('a', '1');
    for (let i = 0; i < 20; i++) await commit('a', String(i));
    await subject.compact();
    expect(await codeOf(watchUntil(forgotten, () => true))).to.equal('REVISION_COMPACTED');
    const { revision } = await store.snapshot(prefix);
    const watching = watchUntil(revision, () => true);
    await commit('b', '2');
    expect((await watching).flatMap(part => part.events.map(describe_))).to.deep.equal(['+b=2']);
  });

  it('leased: an expired lease takes its own keys along and no others, in one revision', async () => {
    const short = await store.grantLease(1_000);
    const long = await store.grantLease(60_000);
    await commit('plain', '1');
    await commit('kept', '2', long.leaseId);
    await commit('moved', '3', short.leaseId);
    await commit('moved', '4', long.leaseId);
    const revision = await store.commit({
      puts: [put('gone1', '5', short.leaseId), put('gone2', '6', short.leaseId)],
      deletes: [],
    });
    const [expired] = await watchUntil(revision, () => true);
    expect(expired?.events.map(describe_).sort()).to.deep.equal(['-gone1', '-gone2']);
    expect(await table()).to.deep.equal({ plain: '1', kept: '2', moved: '4' });
    expect(await codeOf(store.keepAlive(short.leaseId))).to.equal('LEASE_NOT_FOUND');
    expect(await codeOf(store.keepAlive(long.leaseId))).to.equal('ok');
  });

  it('leased: a lease kept alive outlives its TTL', async () => {
    const kept = await store.grantLease(2_000);
    const left = await store.grantLease(2_000);
    await commit('kept', '1', kept.leaseId);
    const revision = await commit('left', '2', left.leaseId);
    const stop = new AbortController();
    const keeping = (async () => {
      while (!stop.signal.aborted) {
        await store.keepAlive(kept.leaseId);
        await sleep(300, stop.signal);
      }
    })();
    const [expired] = await watchUntil(revision, () => true);
    stop.abort();
    await keeping;
    expect(expired?.events.map(describe_)).to.deep.equal(['-left']);
    expect(await table()).to.deep.equal({ kept: '1' });
  });

  it('deleting a key that is not there is no error and no event', async () => {
    const revision = await commit('a', '1');
    await store.commit({ puts: [], deletes: [`${prefix}none`] });
    await commit('b', '2');
    const seen = await watchUntil(revision, () => true);
    expect(seen.flatMap(part => part.events.map(describe_))).to.deep.equal(['+b=2']);
  });

  it('a watch ends quietly when aborted', async () => {
    const stop = new AbortController();
    const { revision } = await store.snapshot(prefix);
    const ended = (async () => {
      for await (const seen of store.watch(prefix, revision, stop.signal)) expect(seen).to.equal(0);
    })();
    await sleep(10);
    stop.abort();
    await ended;
  });
}
