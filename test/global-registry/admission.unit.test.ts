import { expect } from 'chai';
import { type Admitted, admit } from '../../src/global-registry/admission.ts';
import { CLUSTER_SERVICES_MAX, PUBLISH_RECORDS_MAX } from '../../src/global-registry/limits.ts';
import type { Commit } from '../../src/global-registry/store.ts';
import { RegistryTable } from '../../src/global-registry/table.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import { envelopeProofs } from '../../src/trust-federation/bundle-envelope.ts';
import {
  encodeRecordId,
  formatRecord,
  type RecordId,
  type RegistryRecord,
} from '../../src/wire/registry-records.ts';
import { CLUSTER_SET_AUTHORITY } from '../support/cluster-set.ts';
import {
  bundleRecordOf,
  CLUSTER_SET,
  configOf,
  east,
  entryOf,
  sliceOf,
  trustDomainOf,
} from './records.ts';

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

function many(count: number): RegistryRecord[] {
  return Array.from({ length: count }, (_, i) => sliceOf('east', { name: `s${i}` }));
}

/** Holds what `many(1)` puts, and as much more as a cluster may have. */
function fullTable(): RegistryTable {
  const records = many(CLUSTER_SERVICES_MAX).map(record => ['east', record] as const);
  return tableOf([['east', configOf('east')], ...records]);
}
