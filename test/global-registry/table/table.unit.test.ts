import { expect } from 'chai';
import { auditKey, formatIntentKey } from '../../../src/global-registry/keys.ts';
import type { StoreEvent } from '../../../src/global-registry/store/store.ts';
import { RegistryTable, sees, type TableChange } from '../../../src/global-registry/table/table.ts';
import { type Intent, intentKey } from '../../../src/mesh/intent.ts';
import type { ClusterName, Namespace, ServiceKey, ServiceName } from '../../../src/mesh/names.ts';
import { formatIntent } from '../../../src/wire/registry-intents.ts';
import { TableDigest } from '../../../src/wire/table-digest.ts';
import { configOf, east, entryOf, sliceOf, west } from '../records.ts';

const eu = 'eu' as ClusterName;
const CART = 'shop/cart' as ServiceKey;

function own(clusters: readonly ClusterName[], revision: bigint): StoreEvent {
  const intent: Intent = {
    kind: 'service-ownership',
    namespace: 'shop' as Namespace,
    name: 'cart' as ServiceName,
    clusters,
    reason: '',
    atMs: 1,
    by: 'ada',
  };
  const key = formatIntentKey(intentKey(intent));
  const value = formatIntent(intent);
  return { kind: 'put', entry: { key, value, revision, created: revision, leaseId: undefined } };
}

function put(
  cluster: string,
  revision: bigint,
  options: Parameters<typeof sliceOf>[1] = {},
): StoreEvent {
  return { kind: 'put', entry: entryOf(cluster, sliceOf(cluster, options), revision) };
}

function gone(event: StoreEvent): StoreEvent {
  return { kind: 'delete', key: event.kind === 'put' ? event.entry.key : event.key };
}

describe('the table', () => {
  let table: RegistryTable;
  const unreadable: string[] = [];

  beforeEach(() => {
    unreadable.length = 0;
    table = new RegistryTable((_, key) => unreadable.push(key));
  });

  /** The clusters whose slices a reader sees. */
  const seenBy = (reader: ClusterName): ClusterName[] =>
    [...table.rows.values()].flatMap(row =>
      row.kind === 'record' && sees(reader, row) ? [row.cluster] : [],
    );
  /** What changes for a reader. */
  const told = (reader: ClusterName, changes: readonly TableChange[]): string[] =>
    changes.flatMap(({ before, after }) => {
      const row = after ?? before;
      const name = row?.kind === 'record' ? row.cluster : (row?.kind ?? '');
      if (sees(reader, after)) return sees(reader, before) ? [`=${name}`] : [`+${name}`];
      return sees(reader, before) ? [`-${name}`] : [];
    });

  it('shows a second exporter to nobody but itself, until its service is said to be its too', () => {
    table.apply([put('east', 1n)]);
    expect(told(eu, table.apply([put('west', 2n)]))).to.deep.equal([]);
    expect(seenBy(eu)).to.deep.equal(['east']);
    expect(seenBy(west)).to.deep.equal(['east', 'west']);
    expect(table.waiting().map(({ service }) => service)).to.deep.equal([CART]);
    const approved = table.apply([own([east, west], 3n)]);
    expect(told(eu, approved)).to.have.members(['+west', '+intent']);
    expect(seenBy(eu)).to.deep.equal(['east', 'west']);
    expect(table.waiting()).to.deep.equal([]);
    expect(told(eu, table.apply([own([west], 4n)]))).to.have.members(['-east', '=intent']);
  });

  it('gives the service to the next exporter when the first withdraws it', () => {
    const first = put('east', 1n);
    table.apply([first]);
    table.apply([put('west', 2n)]);
    expect(told(eu, table.apply([gone(first)]))).to.deep.equal(['-east', '+west']);
  });

  it('counts an exporter from its first slice, however often it writes it again', () => {
    table.apply([put('east', 1n)]);
    table.apply([put('west', 2n)]);
    const again = entryOf('east', sliceOf('east', { endpoints: 2 }), 3n);
    table.apply([{ kind: 'put', entry: { ...again, created: 1n } }]);
    expect(table.standings(CART).get(east)).to.deep.equal({ kind: 'owner' });
  });

  it('shows an export to those it is meant for, and tells who was taken out', () => {
    table.apply([put('east', 1n, { exportTo: [west] })]);
    expect([seenBy(east), seenBy(west), seenBy(eu)]).to.deep.equal([['east'], ['east'], []]);
    const changes = table.apply([put('east', 2n, { exportTo: [eu] })]);
    expect(told(west, changes)).to.deep.equal(['-east']);
    expect(told(eu, changes)).to.deep.equal(['+east']);
    expect(told(east, changes)).to.deep.equal(['=east']);
  });

  it('gives each reader the digest of what it sees', () => {
    table.apply([
      { kind: 'put', entry: entryOf('east', configOf('east'), 1n) },
      put('east', 2n, { exportTo: [west] }),
      put('west', 3n, { name: 'pay' }),
    ]);
    const digest = new TableDigest();
    digest.toggle('clusters/east/config', 1n);
    digest.toggle('exports/west/shop/pay/0', 3n);
    expect(table.digestFor(eu)).to.equal(digest.value);
    digest.toggle('exports/east/shop/cart/0', 2n);
    expect(table.digestFor(west)).to.equal(digest.value);
    table.apply([put('east', 4n)]);
    expect(table.digestFor(eu)).to.equal(table.digestFor(west));
  });

  it('knows how much each cluster keeps, whatever comes and goes', () => {
    const totals = (): unknown => table.usageOf(east).totals;
    const config: StoreEvent = { kind: 'put', entry: entryOf('east', configOf('east'), 1n) };
    table.apply([config, put('east', 2n, { endpoints: 3 }), put('west', 2n, { name: 'pay' })]);
    table.apply([put('east', 3n, { endpoints: 2 }), put('east', 3n, { slice: 1 })]);
    table.apply([put('east', 4n, { name: 'tea' })]);
    expect(totals()).to.deep.include({ records: 4, services: 2, endpoints: 4 });
    const rows = [...table.rows.values()].filter(row => row.kind === 'record');
    const stored = rows.filter(({ cluster }) => cluster === east).map(({ entry }) => entry.value);
    expect(totals()).to.deep.include({ bytes: Buffer.concat(stored).length });
    table.apply([gone(put('east', 5n, { slice: 1 })), gone(put('east', 5n, { name: 'tea' }))]);
    expect(totals()).to.deep.include({ records: 2, services: 1, endpoints: 2 });
  });

  it("keeps the registry's own rows from every reader", () => {
    const key = auditKey(1, 'a');
    const entry = { key, value: Buffer.alloc(0), revision: 1n, created: 1n, leaseId: undefined };
    const changes = table.apply([{ kind: 'put', entry }]);
    expect(told(east, changes)).to.deep.equal([]);
    expect([...table.privateRows('audit').keys()]).to.deep.equal([key]);
    expect(table.digestFor(east)).to.equal(0n);
  });

  it('keeps what it held of a record that becomes unreadable, and knows its revision', () => {
    const good = put('east', 1n);
    table.apply([good]);
    const { entry } = good as Extract<StoreEvent, { kind: 'put' }>;
    const bad: StoreEvent = {
      kind: 'put',
      entry: { ...entry, value: Buffer.of(255), revision: 2n },
    };
    expect(table.apply([bad])).to.deep.equal([]);
    expect(unreadable).to.deep.equal([entry.key]);
    expect(table.rows.get(entry.key)?.entry.revision).to.equal(1n);
    expect(table.revisionOf(entry.key)).to.equal(2n);
    table.apply([gone(bad)]);
    expect([...table.keys()]).to.deep.equal([]);
  });
});
