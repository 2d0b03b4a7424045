/** What the registry's updates make of a cluster, and how old that is. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  formatRegistryFile,
  parseRegistryFile,
} from '../../../src/cluster-agent/registry/registry-file.ts';
import {
  applyUpdate,
  type ClusterState,
  clusterState,
  EMPTY_VIEW,
  holds,
  intentsInForce,
  type Liveness,
  nextFreshness,
  type RegistryView,
  recordsInForce,
} from '../../../src/cluster-agent/registry/registry-view.ts';
import type { Freshness } from '../../../src/mesh/cluster.ts';
import { type Intent, intentKey } from '../../../src/mesh/intent.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import type { RecordChange, RegistryRecord } from '../../../src/wire/registry-records.ts';
import { digestOf } from '../../../src/wire/registry-updates.ts';
import { publishedCluster } from '../published-cluster.ts';

const WEST = parseClusterName('west');
const RECORDS = publishedCluster('west', ['payments-0']);

function stored(record: RegistryRecord, revision: bigint) {
  return { cluster: WEST, record, revision };
}

function all(records: readonly RegistryRecord[], revision = 1n, storeId = 's'): RegistryView {
  return replace(EMPTY_VIEW, records, revision, storeId);
}

function replace(
  view: RegistryView,
  records: readonly RegistryRecord[],
  revision: bigint,
  storeId = 's',
  intents: readonly Intent[] = [],
): RegistryView {
  return applyUpdate(view, {
    kind: 'replace-all',
    position: { storeId, revision },
    records: records.map(record => stored(record, revision)),
    intents: intents.map(intent => ({ intent, revision })),
  });
}

function change(view: RegistryView, revision: bigint, changes: readonly RecordChange[]) {
  return applyUpdate(view, { kind: 'changes', position: { storeId: 's', revision }, changes });
}

function west(view: RegistryView): ClusterState {
  return clusterState(recordsInForce(view).get(WEST) ?? new Map());
}

function without(kind: RegistryRecord['kind']): RegistryRecord[] {
  return RECORDS.filter(record => record.kind !== kind);
}

describe('intents in a view', () => {
  const stated = { reason: 'maintenance', atMs: 1_000, by: 'ada' };
  const drain: Intent = { kind: 'drain', cluster: WEST, startMs: 1_000, overMs: 60_000, ...stated };
  const statement = Uint8Array.of(1, 2, 3);
  const revoked: Intent = { kind: 'cluster-revocation', cluster: WEST, statement, ...stated };
  const put = (intent: Intent, revision: bigint): RecordChange => ({
    kind: 'put-intent',
    stored: { intent, revision },
  });
  const intentsOf = (view: RegistryView): Intent[] =>
    [...intentsInForce(view).values()].map(({ intent }) => intent);

  it('come with the table, are replaced by newer ones and go when they are deleted', () => {
    const start = replace(EMPTY_VIEW, RECORDS, 1n, 's', [drain]);
    expect(intentsOf(start)).to.deep.equal([drain]);
    const longer = { ...drain, overMs: 120_000 };
    const changed = change(start, 2n, [put(longer, 2n), put(revoked, 2n)]);
    expect(intentsOf(changed)).to.deep.equal([longer, revoked]);
    const ended = change(changed, 3n, [{ kind: 'delete-intent', key: intentKey(drain) }]);
    expect(intentsOf(ended)).to.deep.equal([revoked]);
    expect(west(ended).kind).to.equal('settled');
  });

  it('go when the same store has them no more; of another store only revocations are kept', () => {
    const start = replace(EMPTY_VIEW, RECORDS, 5n, 's', [drain, revoked]);
    expect(intentsOf(replace(start, RECORDS, 6n, 's'))).to.deep.equal([]);
    expect(intentsOf(replace(start, RECORDS, 1n, 'another'))).to.deep.equal([revoked]);
  });

  it('of an earlier store survive a start, until that store is asked for everything', () => {
    const start = replace(EMPTY_VIEW, RECORDS, 5n, 's', [drain, revoked]);
    const other = replace(start, RECORDS, 1n, 'another');
    const restarted = parseRegistryFile(formatRegistryFile(other));
    expect(restarted.position?.storeId).to.equal('');
    const again = replace(restarted, RECORDS, 2n, 'another');
    expect(intentsOf(again).map(({ kind }) => kind)).to.deep.equal(['cluster-revocation']);
  });

  it('count in the digest as the store has them', () => {
    const start = replace(EMPTY_VIEW, RECORDS, 5n, 's', [drain, revoked]);
    const digest = digestOf(
      RECORDS.map(record => stored(record, 5n)),
      [drain, revoked].map(intent => ({ intent, revision: 5n })),
    );
    expect(holds(start, digest)).to.equal(true);
    expect(holds(replace(EMPTY_VIEW, RECORDS, 5n, 's', [drain]), digest)).to.equal(false);
    expect(holds(replace(EMPTY_VIEW, RECORDS, 6n, 's', [drain, revoked]), digest)).to.equal(false);
    const elsewhere = digestOf(
      RECORDS.map(record => stored(record, 1n)),
      [],
    );
    expect(holds(replace(start, RECORDS, 1n, 'another'), elsewhere)).to.equal(true);
  });

  it('survive on disk', () => {
    const view = replace(EMPTY_VIEW, RECORDS, 5n, 's', [drain, revoked]);
    expect(intentsOf(parseRegistryFile(formatRegistryFile(view)))).to.deep.equal([
      drain,
      { ...revoked, statement: Buffer.from(statement) },
    ]);
  });
});

describe('clusterState', () => {
  it('is settled with config, bundle and canary', () => {
    const state = west(all(RECORDS));
    expect(state.kind).to.equal('settled');
    if (state.kind !== 'settled') return;
    expect(state.claim.exports.map(({ name }) => name)).to.deep.equal(['payments']);
    expect(state.claim.bundle.kind).to.equal('offered');
  });

  it('is absent without the canary', () => {
    expect(west(all(without('synced'))).kind).to.equal('absent');
  });

  it('is unsettled without its config', () => {
    expect(west(all(without('config'))).kind).to.equal('unsettled');
  });

  it('claims no bundle where there is none, or one that cannot be read', () => {
    const bundleOf = (records: readonly RegistryRecord[]): string => {
      const state = west(all(records));
      return state.kind === 'settled' ? state.claim.bundle.kind : state.kind;
    };
    const junk = { signed: Buffer.from('junk'), predecessors: [] };
    expect(bundleOf(without('bundle'))).to.equal('missing');
    expect(bundleOf([...without('bundle'), { kind: 'bundle', bundle: junk }])).to.equal(
      'unreadable',
    );
  });

  it('is unsettled while the canary is of an earlier start', () => {
    const restarting = [...without('synced'), { kind: 'synced', instance: 'before' } as const];
    expect(west(all(restarting)).kind).to.equal('unsettled');
  });

  it('joins slices', () => {
    const [slice] = publishedCluster('west', ['payments-1']).filter(
      record => record.kind === 'export-slice',
    );
    const second = { kind: 'export-slice', slice: { ...slice!.slice, slice: 1 } } as const;
    const state = west(all([second, ...RECORDS]));
    if (state.kind !== 'settled') throw new Error(state.kind);
    const workloads = state.claim.exports[0]?.endpoints.map(({ workload }) => workload);
    expect(workloads).to.deep.equal(['payments-0', 'payments-1']);
  });
});

describe('applyUpdate', () => {
  it('applies changes in order', () => {
    const gone = change(all(RECORDS), 2n, [
      { kind: 'delete', cluster: WEST, id: { kind: 'synced' } },
    ]);
    expect(west(gone).kind).to.equal('absent');
    const back = change(gone, 3n, [
      { kind: 'put', stored: stored({ kind: 'synced', instance: 'instance-1' }, 3n) },
    ]);
    expect(west(back).kind).to.equal('settled');
  });

  it('ignores what is older, and takes what is as old', () => {
    const view = all(RECORDS, 5n);
    expect(replace(view, [], 4n)).to.equal(view);
    expect(west(replace(view, [], 5n)).kind).to.equal('absent');
  });

  it("takes the same store's silence for a deletion", () => {
    expect(west(replace(all(RECORDS), [], 2n)).kind).to.equal('absent');
  });

  it('keeps what another store does not know, without its lease, until it is published there', () => {
    const other = replace(all(RECORDS), [], 1n, 'other');
    expect(west(other).kind).to.equal('settled');
    expect(recordsInForce(other).get(WEST)?.has('alive')).to.equal(false);
    expect(other.clusters.size).to.equal(0);
    const halfway = replace(other, without('synced'), 2n, 'other');
    expect(west(halfway).kind).to.equal('settled');
    const published = replace(halfway, RECORDS, 3n, 'other');
    expect(published.remembered.size).to.equal(0);
    expect(recordsInForce(published).get(WEST)?.has('alive')).to.equal(true);
  });
});

describe('the registry file', () => {
  it('reads back the same, position included', () => {
    const view = all(RECORDS, 7n);
    expect(parseRegistryFile(formatRegistryFile(view))).to.deep.equal(view);
  });

  it('is refused when it is something else', () => {
    expect(() => parseRegistryFile(Buffer.from('not a registry file'))).to.throw();
  });
});

describe('nextFreshness', () => {
  const LIVE: Freshness = { kind: 'live' };
  const stale = (reason: 'lease-expired' | 'registry-unreachable' | 'loaded-from-disk') =>
    ({ kind: 'stale', sinceMs: 100, reason }) as const;
  const at = (observer: Liveness['observer'], alive = true): Liveness => ({ observer, alive });

  const cases: readonly [
    what: string,
    from: Freshness | undefined,
    now: Liveness,
    to: Freshness,
  ][] = [
    ['alive and connected is live', undefined, at('connected'), LIVE],
    ['news makes the stale live', stale('registry-unreachable'), at('connected'), LIVE],
    [
      'no lease is stale from now',
      LIVE,
      at('connected', false),
      { kind: 'stale', sinceMs: 500, reason: 'lease-expired' },
    ],
    [
      'no registry is stale from now',
      LIVE,
      at('registry-unreachable'),
      { kind: 'stale', sinceMs: 500, reason: 'registry-unreachable' },
    ],
    [
      'from disk is stale from now',
      undefined,
      at('loaded-from-disk'),
      { kind: 'stale', sinceMs: 500, reason: 'loaded-from-disk' },
    ],
    [
      'the same silence keeps its date',
      stale('registry-unreachable'),
      at('registry-unreachable'),
      stale('registry-unreachable'),
    ],
    [
      'a lost lease stays one without the registry',
      stale('lease-expired'),
      at('registry-unreachable', false),
      stale('lease-expired'),
    ],
  ];
  for (const [what, from, now, to] of cases) {
    it(what, () => {
      expect(nextFreshness(from, now, 500)).to.deep.equal(to);
    });
  }
});
