import { expect } from 'chai';
import { EPOCH_KEY } from '../../../src/global-registry/keys.ts';
import { createRegistryMetrics } from '../../../src/global-registry/metrics.ts';
import type { StoreEvent } from '../../../src/global-registry/store/store.ts';
import { subscribe } from '../../../src/global-registry/table/fan-out.ts';
import { TableMirror } from '../../../src/global-registry/table/table-mirror.ts';
import { WatchMessages } from '../../../src/global-registry/table/watch-messages.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';
import { createLogger } from '../../../src/runtime/log.ts';
import { sleep } from '../../../src/runtime/supervise.ts';
import { WatchResponse } from '../../../src/wire/generated/isthmus/registry/v1/registry.ts';
import {
  idOf,
  type RegistryUpdate,
  type WatchPosition,
} from '../../../src/wire/registry-records.ts';
import { digestOf, UpdateReader } from '../../../src/wire/registry-updates.ts';
import { FakeStore } from '../fake-store.ts';
import { configOf, entryOf, sliceOf } from '../records.ts';

const log = createLogger('test');
log.level = 'silent';

const CHECK_MS = 50;

describe('the mirror of the table', () => {
  let store: FakeStore;
  let mirror: TableMirror;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(async () => {
    store = new FakeStore();
    store.change([put('east', 0), put('west', 0)]);
    const metrics = createRegistryMetrics();
    const historyBounds = { revisionsMax: 5, bytesMax: 100_000 };
    mirror = new TableMirror({ store, log, metrics, historyBounds, checkMsMin: CHECK_MS });
    stop = new AbortController();
    running = mirror.run(stop.signal);
    await until(() => mirror.outage === undefined);
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  it('keeps its records through an outage, and follows again after it', async () => {
    const subscriber = new Subscriber(mirror);
    expect((await subscriber.next()).kind).to.equal('replace-all');
    store.down = true;
    await until(() => mirror.outage !== undefined);
    expect(mirror.rows.size).to.equal(2);
    store.change([put('east', 1)]);
    store.down = false;
    await until(() => mirror.outage === undefined);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/1']);
    store.change([put('west', 1)]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+west shop/pay/1']);
  });

  it('makes one change of everything it missed, deletions included', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    store.down = true;
    store.change([put('east', 1)], { unheard: true });
    store.change([put('east', 0)], { unheard: true });
    store.change([{ kind: 'delete', key: put('west', 0).entry.key }], { unheard: true });
    await until(() => mirror.outage !== undefined);
    store.down = false;
    expect(await subscriber.nextChanges()).to.have.members([
      '+east shop/cart/1',
      '+east shop/cart/0',
      '-west shop/pay/0',
    ]);
  });

  it('shows nobody what comes after a hole before the hole is mended', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    store.change([put('east', 1)], { unheard: true });
    store.change([put('east', 2)]);
    expect(await subscriber.nextChanges()).to.have.members([
      '+east shop/cart/1',
      '+east shop/cart/2',
    ]);
  });

  it('lets no revision that comes late undo a newer one', async () => {
    store.change([put('east', 1)]);
    await until(() => mirror.revision === store.revision);
    const snapshots = store.snapshots;
    store.show({ revision: store.revision - 1n, events: [put('east', 0)] });
    await until(() => store.snapshots > snapshots && mirror.outage === undefined);
    expect(mirror.rows.get(put('east', 0).entry.key)?.entry.revision).to.equal(2n);
  });

  it('shows nobody a revision twice', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    store.change([put('east', 1)]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/1']);
    const snapshots = store.snapshots;
    store.show({ revision: store.revision, events: [put('east', 1)] });
    await until(() => store.snapshots > snapshots && mirror.outage === undefined);
    store.change([put('east', 2)]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/2']);
  });

  it('finds out what the watch has left out, deletions included, and tells every subscriber', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    store.change([put('east', 1)], { unheard: true });
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/1']);
    store.change([{ kind: 'delete', key: put('east', 1).entry.key }], { unheard: true });
    expect(await subscriber.nextChanges()).to.deep.equal(['-east shop/cart/1']);
  });

  it('does not take what comes in time for left out', async () => {
    const snapshots = store.snapshots;
    const watched = mirror.changed(stop.signal);
    store.change([put('east', 1)]);
    await watched;
    for (let i = 0; i < 5; i++) await mirror.changed(stop.signal, 2 * CHECK_MS);
    expect(store.snapshots).to.equal(snapshots);
  });

  it('takes the store for lost when it does not say what it holds, but not the first time', async () => {
    const { snapshots, indexes } = store;
    store.deafTo = 1;
    await until(() => store.indexes > indexes + 2);
    expect(store.snapshots).to.equal(snapshots);
    store.deafTo = 2;
    await until(() => store.snapshots > snapshots);
  });

  it('is frozen when the store goes back, and follows it again once that is confirmed', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    store.change([put('east', 1)]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/1']);
    const backup = [...store.entries];
    store.change([put('east', 2)]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/2']);
    store.down = true;
    await until(() => mirror.outage !== undefined);
    store.entries.clear();
    for (const [key, entry] of backup) store.entries.set(key, entry);
    store.revision -= 1n;
    store.down = false;
    await until(() => mirror.frozen !== undefined);
    expect(mirror.frozen).to.match(/has gone back from revision 4 to 3/);
    expect(mirror.rows.has(put('east', 2).entry.key)).to.equal(true);
    const epoch = { key: EPOCH_KEY, value: Buffer.from('1'), leaseId: undefined };
    store.change([{ kind: 'put', entry: { ...epoch, revision: 0n, created: 0n } }]);
    const update = await subscriber.next();
    expect(mirror.frozen).to.equal(undefined);
    expect(update.kind === 'replace-all' && update.records.length).to.equal(3);
    expect(update.position.storeId).to.equal('first/1');
  });

  it('is frozen when another store stands in its place, and not when it was only away', async () => {
    store.down = true;
    await until(() => mirror.outage !== undefined);
    store.down = false;
    await until(() => mirror.outage === undefined);
    expect(mirror.frozen).to.equal(undefined);
    store.down = true;
    await until(() => mirror.outage !== undefined);
    store.storeId = 'second';
    store.entries.clear();
    store.down = false;
    await until(() => mirror.frozen !== undefined);
    expect(mirror.frozen).to.equal('store "first" has been replaced by "second"');
    expect(mirror.rows.size).to.equal(2);
  });

  it('resumes a subscriber from a revision it holds, at once, with exactly what it missed', async () => {
    const first = new Subscriber(mirror);
    const { position } = await first.next();
    store.change([put('east', 1)]);
    store.change([put('east', 2)]);
    await until(() => mirror.rows.size === 4);
    const second = new Subscriber(mirror, position);
    expect(await second.nextChanges()).to.deep.equal(['+east shop/cart/1', '+east shop/cart/2']);
    expect(second.messages).to.equal(1);
    const current = new Subscriber(mirror, { storeId: 'first', revision: store.revision });
    expect(await current.nextChanges()).to.deep.equal([]);
  });

  it('sends the whole table to a subscriber that resumes in another store', async () => {
    const elsewhere = new Subscriber(mirror, { storeId: 'other', revision: store.revision });
    expect((await elsewhere.next()).kind).to.equal('replace-all');
  });

  it('lets a subscriber that is ahead wait for it, and sends it away if that is for long', async () => {
    const ahead = new Subscriber(mirror, { storeId: 'first', revision: store.revision + 1n });
    const answer = ahead.next();
    store.change([put('east', 1)]);
    expect(await answer).to.deep.include({ kind: 'changes', changes: [] });
    const far = new Subscriber(mirror, { storeId: 'first', revision: store.revision + 9n });
    const error = await far.next().catch((thrown: unknown) => thrown);
    expect(isMeshError(error, 'STORE_UNAVAILABLE'), String(error)).to.equal(true);
  });

  it('resyncs a slow subscriber with the whole table while the others go on', async () => {
    const slow = new Subscriber(mirror);
    const quick = new Subscriber(mirror);
    await slow.next();
    await quick.next();
    const seen: string[] = [];
    for (let i = 1; i <= 20; i++) {
      store.change([put('east', i)]);
      seen.push(...(await quick.nextChanges()));
    }
    expect(seen).to.have.length(20);
    const update = await slow.next();
    expect(update.kind === 'replace-all' && update.records.length).to.equal(22);
    store.change([put('west', 1)]);
    expect(await slow.nextChanges()).to.deep.equal(['+west shop/pay/1']);
  });

  it('sends a table larger than a message in parts that make one update', async () => {
    store.change(
      Array.from({ length: 200 }, (_, i) => ({
        kind: 'put',
        entry: entryOf('east', sliceOf('east', { slice: i + 1, endpoints: 100 })),
      })),
    );
    await until(() => mirror.rows.size === 202);
    const subscriber = new Subscriber(mirror);
    const update = await subscriber.next();
    expect(update.kind === 'replace-all' && update.records.length).to.equal(202);
    expect(subscriber.messages).to.be.greaterThan(1);
  });

  it('keeps the last readable record when a bad one appears, and goes on', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    const bad = { ...put('east', 0).entry, value: Buffer.from('garbage') };
    store.change([
      { kind: 'put', entry: bad },
      { kind: 'put', entry: { ...bad, key: '/isthmus/v1/x' } },
      put('east', 1),
    ]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east shop/cart/1']);
    expect(mirror.rows.get(bad.key)?.entry.value).to.deep.equal(put('east', 0).entry.value);
    store.change([{ kind: 'put', entry: entryOf('east', configOf('east')) }]);
    expect(await subscriber.nextChanges()).to.deep.equal(['+east config']);
  });

  it('tells a quiet subscriber again and again what it should hold', async () => {
    const subscriber = new Subscriber(mirror, undefined, 10);
    const table = await subscriber.next();
    const records = table.kind === 'replace-all' ? table.records : [];
    const first = await subscriber.next();
    expect(first).to.deep.include({ kind: 'heartbeat', digest: digestOf(records, []) });
    store.change([put('east', 1)]);
    let update = await subscriber.next();
    while (update.kind === 'heartbeat') update = await subscriber.next();
    expect(update.kind).to.equal('changes');
    const second = await subscriber.next();
    expect(second.kind === 'heartbeat' && second.digest).to.equal(
      mirror.table.digestFor('north' as ClusterName),
    );
    expect(second.position.revision).to.equal(store.revision);
  });

  it('tells a subscriber of a table that never rests just as often', async () => {
    const subscriber = new Subscriber(mirror, undefined, 50);
    await subscriber.next();
    let written = 0;
    const busy = setInterval(() => store.change([put('east', written++ % 5)]), 1);
    try {
      let update = await subscriber.next();
      while (update.kind !== 'heartbeat') update = await subscriber.next();
      expect(update.digest).to.equal(mirror.table.digestFor('north' as ClusterName));
    } finally {
      clearInterval(busy);
    }
  });

  it('ends its subscribers when it stops', async () => {
    const subscriber = new Subscriber(mirror);
    await subscriber.next();
    stop.abort();
    expect(await subscriber.ended()).to.equal(true);
  });
});

function put(cluster: string, slice: number): StoreEvent & { kind: 'put' } {
  const name = cluster === 'west' ? 'pay' : 'cart';
  return { kind: 'put', entry: entryOf(cluster, sliceOf(cluster, { slice, name })) };
}

class Subscriber {
  messages = 0;
  readonly #stream: AsyncGenerator<Uint8Array, void>;
  readonly #reader = new UpdateReader(error => {
    throw error;
  });

  constructor(mirror: TableMirror, from?: WatchPosition, heartbeatMs?: number) {
    const options = { mirror, reader: 'north' as ClusterName, heartbeatMs, from };
    this.#stream = subscribe(
      { ...options, messages: new WatchMessages(), onResync: () => undefined },
      new AbortController().signal,
    );
  }

  async next(): Promise<RegistryUpdate> {
    for (;;) {
      const { value } = await this.#stream.next();
      if (value === undefined) throw new Error('the stream ended');
      this.messages += 1;
      const update = this.#reader.read(WatchResponse.decode(value));
      if (update !== undefined) return update;
    }
  }

  async nextChanges(): Promise<string[]> {
    const update = await this.next();
    if (update.kind !== 'changes') throw new Error(`got ${update.kind}`);
    return update.changes.map(change => {
      if (change.kind !== 'put' && change.kind !== 'delete') throw new Error(`got ${change.kind}`);
      const { cluster } = change.kind === 'put' ? change.stored : change;
      const id = change.kind === 'put' ? idOf(change.stored.record) : change.id;
      const name = id.kind === 'export-slice' ? `${id.namespace}/${id.name}/${id.slice}` : id.kind;
      return `${change.kind === 'delete' ? '-' : '+'}${cluster} ${name}`;
    });
  }

  async ended(): Promise<boolean> {
    return (await this.#stream.next()).done === true;
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition never came true');
    await sleep(5);
  }
}
