import { expect } from 'chai';
import { type Admitted, admit } from '../../../src/global-registry/admission/admission.ts';
import { checkQuotas } from '../../../src/global-registry/admission/quotas.ts';
import {
  CLUSTER_BYTES_MAX,
  CLUSTER_ENDPOINTS_MAX,
  CLUSTER_SERVICES_MAX,
  PUBLISH_RECORDS_MAX,
} from '../../../src/global-registry/limits.ts';
import type { Commit } from '../../../src/global-registry/store/store.ts';
import { RegistryTable } from '../../../src/global-registry/table/table.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import type { Namespace } from '../../../src/mesh/names.ts';
import { envelopeProofs } from '../../../src/trust-federation/bundles/bundle-envelope.ts';
import {
  encodeRecordId,
  formatRecord,
  idOf,
  type RecordId,
  type RegistryRecord,
} from '../../../src/wire/registry-records.ts';
import { CLUSTER_SET_AUTHORITY } from '../../support/cluster-set.ts';
import {
  bundleRecordOf,
  CLUSTER_SET,
  configOf,
  east,
  entryOf,
  sliceOf,
  trustDomainOf,
  west,
} from '../records.ts';

const PROOFS = envelopeProofs(new Map([[CLUSTER_SET, CLUSTER_SET_AUTHORITY.bundle]]), () =>
  Date.now(),
);
const alive: RegistryRecord = { kind: 'alive', instance: 'i1' };
const synced: RegistryRecord = { kind: 'synced', instance: 'i1' };

function tableOf(records: readonly (readonly [string, RegistryRecord])[]): RegistryTable {
  const table = new RegistryTable(error => {
    throw error;
  });
  table.apply(
    records.map(([cluster, record]) => ({ kind: 'put', entry: entryOf(cluster, record, 7n) })),
  );
  return table;
}

const known = tableOf([
  ['east', configOf('east')],
  ['west', configOf('west')],
]);

interface Attempt {
  readonly puts?: readonly RegistryRecord[];
  readonly deletes?: readonly RecordId[];
  readonly leaseId?: string;
  readonly instance?: string;
  readonly previousInstances?: readonly string[];
  readonly table?: RegistryTable;
}

/** By east, which owns lease "l1". */
function admitted(attempt: Attempt): Admitted {
  const { puts = [], deletes = [], leaseId = '', table = known } = attempt;
  return admit(
    {
      puts: puts.map(record => Buffer.from(formatRecord(record))),
      deletes: deletes.map(encodeRecordId),
      leaseId,
      asOfRevision: 0n,
      asOfStoreId: '',
      instance: attempt.instance ?? '',
      previousInstances: [...(attempt.previousInstances ?? [])],
    },
    {
      caller: east,
      clusterSet: CLUSTER_SET,
      table,
      ownsLease: id => id === 'l1',
      proofs: PROOFS,
    },
  );
}

function publish(attempt: Attempt): Commit {
  return admitted(attempt).commit;
}

function refusal(attempt: Attempt): string {
  try {
    publish(attempt);
    return 'accepted';
  } catch (error) {
    return isMeshError(error) ? `${error.code}: ${error.message}` : String(error);
  }
}

describe('a publish', () => {
  it('touches keys of the caller only, whatever it holds', () => {
    const everything = [configOf('east'), bundleRecordOf('east'), sliceOf('east'), synced, alive];
    const { puts } = publish({ puts: everything, leaseId: 'l1' });
    const { deletes } = publish({ deletes: [{ kind: 'synced' }, { kind: 'alive' }] });
    expect([...puts.map(({ key }) => key), ...deletes]).to.deep.equal([
      '/isthmus/v1/clusters/east/config',
      '/isthmus/v1/clusters/east/bundle',
      '/isthmus/v1/exports/east/shop/cart/0',
      '/isthmus/v1/clusters/east/synced',
      '/isthmus/v1/clusters/east/alive',
      '/isthmus/v1/domains/east.example',
      '/isthmus/v1/clusters/east/synced',
      '/isthmus/v1/clusters/east/alive',
    ]);
  });

  it('binds the alive record to the lease, and nothing else', () => {
    const { puts } = publish({ puts: [configOf('east'), synced, alive], leaseId: 'l1' });
    const bound = puts.filter(({ leaseId }) => leaseId !== undefined);
    expect(bound.map(({ key, leaseId }) => [key, leaseId])).to.deep.equal([
      ['/isthmus/v1/clusters/east/alive', 'l1'],
    ]);
  });

  it('may hold the config that its other records need', () => {
    const puts = [sliceOf('east'), bundleRecordOf('east'), configOf('east')];
    expect(publish({ puts, table: tableOf([]) }).puts.map(({ key }) => key)).to.deep.equal([
      '/isthmus/v1/exports/east/shop/cart/0',
      '/isthmus/v1/clusters/east/bundle',
      '/isthmus/v1/clusters/east/config',
      '/isthmus/v1/domains/east.example',
    ]);
  });

  const legal: readonly (readonly [string, Attempt])[] = [
    ['its own config', { puts: [configOf('east')] }],
    ['a slice with identities of its trust domain', { puts: [sliceOf('east')] }],
    ['a bundle of its trust domain', { puts: [bundleRecordOf('east')] }],
    ['alive with its lease', { puts: [alive], leaseId: 'l1' }],
    ['as many records as allowed', { puts: many(PUBLISH_RECORDS_MAX) }],
    ['a change to a record when its table is full', { puts: many(1), table: fullTable() }],
  ];
  for (const [what, attempt] of legal) {
    it(`of ${what} is accepted`, () => expect(refusal(attempt)).to.equal('accepted'));
  }

  const refused: readonly (readonly [string, Attempt, RegExp])[] = [
    ['nothing', {}, /^REQUEST_INVALID: publish has neither/],
    [
      "another cluster's config",
      { puts: [configOf('west')] },
      /^PERMISSION_DENIED: config is of cluster "west", the certificate is of "east"/,
    ],
    [
      "another cluster's trust domain",
      {
        puts: [configOf('east', trustDomainOf('west'))],
        table: tableOf([['west', configOf('west')]]),
      },
      /^PERMISSION_DENIED: trust domain "west.example" belongs to cluster "west"/,
    ],
    [
      "the ClusterSet's trust domain",
      { puts: [configOf('east', CLUSTER_SET)], table: tableOf([]) },
      /^PERMISSION_DENIED: trust domain "clusterset.example" is the ClusterSet's own/,
    ],
    [
      'a changed trust domain',
      { puts: [configOf('east', trustDomainOf('north'))] },
      /^PERMISSION_DENIED: cluster "east" is registered with trust domain "east.example"/,
    ],
    [
      'identities of another trust domain',
      { puts: [sliceOf('east', { trustDomain: trustDomainOf('west') })] },
      /^PERMISSION_DENIED: endpoint "cart-0" has identity "spiffe:\/\/west.example/,
    ],
    [
      "another trust domain's bundle",
      { puts: [bundleRecordOf('east', trustDomainOf('west'))] },
      /^PERMISSION_DENIED: bundle is of trust domain "west.example"/,
    ],
    [
      'a bundle that is none',
      {
        puts: [
          {
            kind: 'bundle',
            bundle: { signed: Buffer.from('{}'), predecessors: [] },
          },
        ],
      },
      /^REQUEST_INVALID: signed statement/,
    ],
    [
      'a slice before any config',
      { puts: [sliceOf('east')], table: tableOf([]) },
      /^REQUEST_INVALID: cluster "east" has no config/,
    ],
    ['alive without a lease', { puts: [alive] }, /^REQUEST_INVALID: an alive record needs a lease/],
    [
      "alive with someone else's lease",
      { puts: [alive], leaseId: 'l2' },
      /^LEASE_NOT_FOUND: lease "l2"/,
    ],
    [
      'one record twice',
      { puts: [synced, synced] },
      /^REQUEST_INVALID: record "\/isthmus\/v1\/clusters\/east\/synced" occurs twice/,
    ],
    [
      'one record put and deleted',
      { puts: [synced], deletes: [{ kind: 'synced' }] },
      /^REQUEST_INVALID: record .* occurs twice/,
    ],
    ['too many records', { puts: many(PUBLISH_RECORDS_MAX + 1) }, /^LIMIT_EXCEEDED: 101 records/],
    [
      'more than its share of the table',
      { puts: [sliceOf('east', { name: 'new' })], table: fullTable() },
      /^LIMIT_EXCEEDED: cluster "east" would have 4001 exported services, at most 4000 are accepted; export fewer/,
    ],
  ];
  for (const [what, attempt, expected] of refused) {
    it(`of ${what} is refused, saying so`, () => expect(refusal(attempt)).to.match(expected));
  }
});

describe('the commit of a publish', () => {
  it('expects every record, and the config, to be as the table has them', () => {
    const { expect: expected } = publish({
      puts: [sliceOf('east'), synced],
      deletes: [{ kind: 'alive' }],
    });
    expect(expected).to.have.deep.members([
      { key: '/isthmus/v1/exports/east/shop/cart/0', revision: 0n },
      { key: '/isthmus/v1/clusters/east/synced', revision: 0n },
      { key: '/isthmus/v1/clusters/east/alive', revision: 0n },
      { key: '/isthmus/v1/clusters/east/config', revision: 7n },
    ]);
  });

  it('claims the trust domain with the config, and gives it back with it', () => {
    const joined = publish({
      puts: [configOf('north', trustDomainOf('north'))].map(asEast),
      table: tableOf([]),
    });
    const domain = '/isthmus/v1/domains/north.example';
    expect(joined.expect).to.deep.include({ key: domain, revision: 0n });
    expect(publish({ deletes: [{ kind: 'config' }] }).deletes).to.include(
      '/isthmus/v1/domains/east.example',
    );
  });

  it('stores what was sent, fields of newer versions included', () => {
    const known_ = formatRecord(sliceOf('east'));
    // Field 1000, length-delimited: what a later version of Record may have.
    const newer = Buffer.concat([known_, Buffer.from([0xc2, 0x3e, 3, 1, 2, 3])]);
    const request = {
      puts: [newer],
      deletes: [],
      leaseId: '',
      asOfRevision: 0n,
      asOfStoreId: '',
      instance: '',
      previousInstances: [],
    };
    const context = {
      caller: east,
      clusterSet: CLUSTER_SET,
      table: known,
      ownsLease: () => false,
      proofs: PROOFS,
    };
    expect(admit(request, context).commit.puts[0]?.value).to.deep.equal(newer);
    const unknownKind = { ...request, puts: [Buffer.from([0xc2, 0x3e, 3, 1, 2, 3])] };
    expect(() => admit(unknownKind, context)).to.throw('record has no kind this version knows');
  });

  it('says what it means for the federation, and nothing of what is only traffic', () => {
    const joined = admitted({ puts: [configOf('east'), sliceOf('east')], table: tableOf([]) });
    expect(joined.changes.map(({ action, subject }) => `${action} ${subject}`)).to.deep.equal([
      'cluster-joined east',
      'export-added shop/cart of east',
    ]);
    const table = tableOf([
      ['east', configOf('east')],
      ['east', sliceOf('east')],
    ]);
    expect(admitted({ puts: [sliceOf('east', { endpoints: 5 })], table }).changes).to.deep.equal(
      [],
    );
    const [narrowed] = admitted({ puts: [sliceOf('east', { exportTo: [west] })], table }).changes;
    expect(narrowed).to.deep.equal({
      action: 'export-changed',
      subject: 'shop/cart of east',
      before: 'http 80, to all',
      after: 'http 80, to west',
    });
    const slice = idOf(sliceOf('east'));
    expect(admitted({ deletes: [slice], table }).changes[0]?.action).to.equal('export-removed');
  });
});

describe('two agents of one cluster', () => {
  const held = tableOf([
    ['east', configOf('east')],
    ['east', alive],
  ]);
  const config = configOf('east', trustDomainOf('east'), { instance: 'i2' });

  it('are told apart: the second is refused, naming the first and since when it runs', () => {
    expect(refusal({ puts: [config], instance: 'i2', table: held })).to.match(
      /^INSTANCE_CONFLICT: cluster "east" is held by agent "i1", running since 1970-01-01T00:00:01.000Z, and its lease is alive/,
    );
    expect(refusal({ puts: [synced], instance: 'i1', table: held })).to.equal('accepted');
  });

  it('are one after the other when the second knows the first: it takes over at once', () => {
    const attempt = { puts: [config], instance: 'i2', table: held };
    expect(refusal({ ...attempt, previousInstances: ['i0', 'i1'] })).to.equal('accepted');
    expect(refusal({ ...attempt, previousInstances: ['i0'] })).to.match(/^INSTANCE_CONFLICT/);
  });

  it('may follow each other when the first has no lease any more', () => {
    expect(refusal({ puts: [config], instance: 'i2', table: known })).to.equal('accepted');
  });

  it('of an earlier version, which do not say who they are, are not told apart', () => {
    expect(refusal({ puts: [synced], table: held })).to.equal('accepted');
  });
});

describe('an address that a cluster publishes', () => {
  const gateways = [{ host: '10.0.0.1', port: 443 }];
  const routable = configOf('east', trustDomainOf('east'), { gateways });
  const at = (host: string, port = 1): RegistryRecord => {
    const record = sliceOf('east');
    if (record.kind !== 'export-slice') throw new Error('no slice');
    const endpoints = record.slice.endpoints.map(each => ({ ...each, address: { host, port } }));
    return { kind: 'export-slice', slice: { ...record.slice, endpoints } };
  };
  const table = tableOf([
    ['east', routable],
    [
      'west',
      configOf('west', trustDomainOf('west'), { gateways: [{ host: '10.0.0.9', port: 443 }] }),
    ],
  ]);

  it('may be any that others can reach', () => {
    expect(refusal({ puts: [at('10.0.0.2')], table })).to.equal('accepted');
    expect(refusal({ puts: [at('pod.east.example')], table })).to.equal('accepted');
  });

  it('may be loopback only when all its gateways are too', () => {
    expect(refusal({ puts: [at('127.0.0.1')], table })).to.match(
      /^REQUEST_INVALID: endpoint "cart-0" at "127.0.0.1:1" is loopback/,
    );
    const local = configOf('east', trustDomainOf('east'), {
      gateways: [{ host: '127.0.0.1', port: 443 }],
    });
    expect(refusal({ puts: [local, at('127.0.0.1')], table })).to.equal('accepted');
  });

  for (const host of ['0.0.0.0', '224.0.0.1', '127.1', '169.254.0.1']) {
    it(`may not be ${host}`, () =>
      expect(refusal({ puts: [at(host)], table })).to.match(/^REQUEST_INVALID: endpoint/));
  }

  it("may not be another cluster's gateway, neither as an endpoint nor as a gateway", () => {
    expect(refusal({ puts: [at('10.0.0.9', 443)], table })).to.match(
      /^PERMISSION_DENIED: endpoint "cart-0" at "10.0.0.9:443" is the gateway of cluster "west"/,
    );
    const stolen = configOf('east', trustDomainOf('east'), {
      gateways: [{ host: '10.0.0.9', port: 443 }],
    });
    expect(refusal({ puts: [stolen], table })).to.match(
      /^PERMISSION_DENIED: gateway "10.0.0.9:443" is one of cluster "west"'s/,
    );
    expect(refusal({ puts: [at('10.0.0.9', 444)], table })).to.equal('accepted');
  });
});

describe('quotas', () => {
  it('stop a cluster at its endpoints and its bytes, saying how many it would have', () => {
    const full = tableOf([
      ['east', configOf('east')],
      ...Array.from(
        { length: CLUSTER_ENDPOINTS_MAX / 100 },
        (_, i) => ['east', sliceOf('east', { name: `s${i}`, endpoints: 100 })] as const,
      ),
    ]);
    expect(refusal({ puts: [sliceOf('east', { name: 'one-more' })], table: full })).to.match(
      /^LIMIT_EXCEEDED: cluster "east" would have 50001 exported endpoints, at most 50000/,
    );
    expect(
      refusal({ puts: [sliceOf('east', { name: 's0', endpoints: 100 })], table: full }),
    ).to.equal('accepted');
    const totals = { records: 1, services: 0, endpoints: 0, bytes: CLUSTER_BYTES_MAX };
    expect(() => checkQuotas(east, totals)).not.to.throw();
    expect(() => checkQuotas(east, { ...totals, bytes: CLUSTER_BYTES_MAX + 1 })).to.throw(
      'bytes of records',
    );
  });

  it('keep reserved names free', () => {
    const reserved = sliceOf('east', { name: 'dns' });
    if (reserved.kind !== 'export-slice') throw new Error('no slice');
    const slice = { ...reserved.slice, namespace: 'kube-system' as Namespace };
    expect(refusal({ puts: [{ kind: 'export-slice', slice }] })).to.match(
      /^PERMISSION_DENIED: service "kube-system\/dns" is reserved/,
    );
    expect(refusal({ puts: [reserved] })).to.equal('accepted');
  });
});

/** The same config, said by east. */
function asEast(record: RegistryRecord): RegistryRecord {
  if (record.kind !== 'config') return record;
  return { kind: 'config', config: { ...record.config, name: east } };
}

function many(count: number): RegistryRecord[] {
  return Array.from({ length: count }, (_, i) => sliceOf('east', { name: `s${i}` }));
}

/** Holds what `many(1)` puts, and as much more as a cluster may have. */
function fullTable(): RegistryTable {
  const records = many(CLUSTER_SERVICES_MAX).map(record => ['east', record] as const);
  return tableOf([['east', configOf('east')], ...records]);
}
