import { expect } from 'chai';
import { isMeshError } from '../../src/mesh/errors.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import * as pb from '../../src/wire/generated/isthmus/registry/v1/registry.ts';
import { decodeRecord, formatRecord, parseRecord } from '../../src/wire/registry-records.ts';
import { SLICE_ENDPOINTS_MAX } from '../../src/wire/registry-slices.ts';
import { digestOf, UpdateReader } from '../../src/wire/registry-updates.ts';
import { TableDigest } from '../../src/wire/table-digest.ts';

const east = 'east' as ClusterName;

const config: pb.ClusterConfig = {
  name: 'east',
  instance: 'i1',
  trustDomain: 'east.example',
  locality: { region: 'us-east', zone: '' },
  network: 'east',
  gateways: [{ host: '10.0.0.1', port: 15443 }],
  version: '0.1.0',
  capabilities: ['intents'],
  startedMs: 1_000n,
};
const endpoint: pb.Endpoint = {
  workload: 'cart-0',
  spiffeId: 'spiffe://east.example/ns/shop/sa/cart',
  locality: { region: 'us-east', zone: 'a' },
  address: { host: '10.0.0.2', port: 15008 },
};
const slice: pb.ExportSlice = {
  id: { namespace: 'shop', service: 'cart', slice: 0 },
  ports: [{ port: 80, protocol: 'http' }],
  exportTo: undefined,
  endpoints: [endpoint],
};

const ofConfig = (change: Partial<pb.ClusterConfig>): pb.Record => ({
  kind: { $case: 'config', value: { ...config, ...change } },
});
const ofSlice = (change: Partial<pb.ExportSlice>): pb.Record => ({
  kind: { $case: 'exportSlice', value: { ...slice, ...change } },
});
const refusal = (record: pb.Record | undefined): string => {
  try {
    decodeRecord(record, east);
    return 'accepted';
  } catch (error) {
    return isMeshError(error) ? `${error.code}: ${error.message}` : String(error);
  }
};

describe('a registry record', () => {
  it('says what an endpoint can do and how busy it is, where that is known', () => {
    const busy = { ...endpoint, capacity: 40, load: 250 };
    const decoded = decodeRecord(ofSlice({ endpoints: [endpoint, busy] }), east);
    expect(decoded.kind === 'export-slice' && decoded.slice.endpoints).to.deep.equal([
      { ...endpoint, cluster: 'east' },
      { ...busy, cluster: 'east' },
    ]);
    expect(parseRecord(formatRecord(decoded), east)).to.deep.equal(decoded);
  });

  it('becomes mesh nouns, its endpoints in the cluster that owns it', () => {
    expect(decodeRecord(ofConfig({}), east)).to.deep.equal({
      kind: 'config',
      config: { ...config, startedMs: 1_000 },
    });
    const decoded = decodeRecord(ofSlice({}), east);
    expect(decoded.kind === 'export-slice' && decoded.slice.endpoints).to.deep.equal([
      { ...endpoint, cluster: 'east' },
    ]);
  });

  const refused: readonly (readonly [string, pb.Record | undefined, RegExp])[] = [
    ['no kind', { kind: undefined }, /^REQUEST_INVALID: record has no kind/],
    ['nothing', undefined, /^REQUEST_INVALID: record has no kind/],
    ['a bad name', ofConfig({ name: 'East' }), /^REQUEST_INVALID: cluster name "East"/],
    [
      'a bad trust domain',
      ofConfig({ trustDomain: 'a/b' }),
      /^REQUEST_INVALID: trust domain "a\/b"/,
    ],
    ['no locality', ofConfig({ locality: undefined }), /^REQUEST_INVALID: locality is missing/],
    ['a line break', ofConfig({ network: 'a\nb' }), /^REQUEST_INVALID: network "a\\nb"/],
    [
      'long text',
      ofConfig({ version: 'x'.repeat(254) }),
      /^REQUEST_INVALID: version "x+…" is longer/,
    ],
    ['no host', ofConfig({ gateways: [{ host: '', port: 1 }] }), /^REQUEST_INVALID: host ""/],
    ['port 0', ofConfig({ gateways: [{ host: 'a', port: 0 }] }), /^REQUEST_INVALID: port "0"/],
    [
      '17 gateways',
      ofConfig({ gateways: Array.from({ length: 17 }, () => ({ host: 'a', port: 1 })) }),
      /^LIMIT_EXCEEDED: 17 gateways/,
    ],
    ['no slice id', ofSlice({ id: undefined }), /^REQUEST_INVALID: slice id is missing/],
    [
      'slice 5000',
      ofSlice({ id: { namespace: 'shop', service: 'cart', slice: 5000 } }),
      /^REQUEST_INVALID: slice "5000"/,
    ],
    [
      'an unknown protocol',
      ofSlice({ ports: [{ port: 80, protocol: 'udp' }] }),
      /^REQUEST_INVALID: protocol "udp"/,
    ],
    [
      'no SPIFFE ID',
      ofSlice({ endpoints: [{ ...endpoint, spiffeId: 'cart' }] }),
      /^REQUEST_INVALID: SPIFFE ID "cart"/,
    ],
    [
      'a capacity of nothing',
      ofSlice({ endpoints: [{ ...endpoint, capacity: 0 }] }),
      /^REQUEST_INVALID: capacity "0"/,
    ],
    [
      'a load beyond all steps',
      ofSlice({ endpoints: [{ ...endpoint, capacity: 1, load: 251 }] }),
      /^REQUEST_INVALID: load "251"/,
    ],
    [
      '101 endpoints',
      ofSlice({ endpoints: Array.from({ length: SLICE_ENDPOINTS_MAX + 1 }, () => endpoint) }),
      /^LIMIT_EXCEEDED: 101 endpoints/,
    ],
  ];
  for (const [what, record, expected] of refused) {
    it(`with ${what} is refused, saying so`, () => {
      expect(refusal(record)).to.match(expected);
    });
  }
});

const bytesOf = (record: pb.Record): Buffer => Buffer.from(pb.Record.encode(record).finish());

describe('a registry watch', () => {
  const stored = (network: string): pb.StoredRecord => ({
    cluster: 'east',
    record: bytesOf(ofConfig({ network })),
    modRevision: 7n,
    key: 'clusters/east/config',
  });
  const replaceAll = (records: pb.StoredRecord[], more: boolean): pb.WatchResponse => ({
    revision: 9n,
    storeId: 's',
    afterRevision: 0n,
    body: { $case: 'replaceAll', value: { records, intents: [], more } },
  });
  const changes: pb.WatchResponse = {
    revision: 9n,
    storeId: 's',
    afterRevision: 0n,
    body: { $case: 'changes', value: { changes: [] } },
  };
  const noErrors = (error: unknown): void => {
    throw error;
  };

  it('puts a table in parts together', () => {
    const reader = new UpdateReader(noErrors);
    expect(reader.read(replaceAll([stored('a')], true))).to.equal(undefined);
    expect(reader.read(replaceAll([stored('b')], true))).to.equal(undefined);
    const update = reader.read(replaceAll([], false));
    expect(update?.kind === 'replace-all' && update.records).to.have.length(2);
    expect(reader.read(replaceAll([], false))).to.deep.include({
      kind: 'replace-all',
      records: [],
    });
  });

  it('leaves out a record it cannot read, and says so', () => {
    const errors: unknown[] = [];
    const reader = new UpdateReader(error => errors.push(error));
    const bad = { ...stored('a'), record: Buffer.alloc(0) };
    const update = reader.read(replaceAll([bad, stored('b')], false));
    expect(update?.kind === 'replace-all' && update.records).to.have.length(1);
    expect(errors).to.have.length(1);
  });

  it('takes the records it left out from the digest, for as long as they are there', () => {
    const reader = new UpdateReader(() => undefined);
    const bad = { ...stored('a'), record: Buffer.alloc(0) };
    const good: pb.StoredRecord = {
      ...stored('a'),
      cluster: 'west',
      record: bytesOf(ofConfig({ name: 'west' })),
      key: 'clusters/west/config',
    };
    const digest = new TableDigest();
    digest.toggle('clusters/east/config', 7n);
    digest.toggle('clusters/west/config', 7n);
    const heartbeat = (value: bigint): pb.WatchResponse => ({
      revision: 9n,
      storeId: 's',
      afterRevision: 0n,
      body: { $case: 'heartbeat', value: { digest: value } },
    });
    const update = reader.read(replaceAll([bad, good], false));
    const records = update?.kind === 'replace-all' ? update.records : [];
    expect(reader.read(heartbeat(digest.value))).to.deep.include({ digest: digestOf(records, []) });
    const deleted = { cluster: 'east', id: undefined, key: 'clusters/east/config' };
    const change = { kind: { $case: 'deleted' as const, value: deleted } };
    const deletion = reader.read({
      ...changes,
      body: { $case: 'changes', value: { changes: [change] } },
    });
    expect(deletion).to.deep.include({ changes: [] });
    digest.toggle('clusters/east/config', 7n);
    expect(reader.read(heartbeat(digest.value))).to.deep.include({ digest: digestOf(records, []) });
  });

  it('begins a table anew on a new stream', () => {
    const reader = new UpdateReader(noErrors);
    reader.read(replaceAll([stored('a')], true));
    reader.restart();
    const update = reader.read(replaceAll([stored('b')], false));
    expect(update?.kind === 'replace-all' && update.records).to.have.length(1);
  });

  it('refuses changes in the middle of a table', () => {
    const reader = new UpdateReader(noErrors);
    reader.read(replaceAll([stored('a')], true));
    expect(() => reader.read(changes)).to.throw('inside a ReplaceAll');
    expect(new UpdateReader(noErrors).read(changes)).to.deep.include({ kind: 'changes' });
  });
});
