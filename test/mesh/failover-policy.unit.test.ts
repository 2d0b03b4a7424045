import { expect } from 'chai';
import {
  type FailoverGroup,
  type FailoverPolicy,
  placeEndpoints,
} from '../../src/mesh/failover-policy.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { spreadOver } from '../../src/mesh/spread.ts';

const HERE = { region: 'us', zone: 'a' };

/** `east:us/a` for an endpoint of cluster east in that place; `!` behind it when it is down. */
function endpoints(words: string) {
  return words.split(' ').map(word => {
    const [cluster = '', place = ''] = word.replace('!', '').split(':');
    const [region = '', zone = ''] = place.split('/');
    return {
      cluster: parseClusterName(cluster),
      locality: { region, zone },
      isReachable: !word.endsWith('!'),
    };
  });
}

function group(weights: Record<string, number>, more: Partial<FailoverGroup> = {}): FailoverGroup {
  return {
    by: 'cluster',
    weights: new Map(Object.entries(weights)),
    spillBelowPercent: undefined,
    ...more,
  };
}

function policy(...groups: readonly FailoverGroup[]): FailoverPolicy {
  return { groups, overprovisioning: 140 };
}

/** Percent of all calls by cluster. */
function shares(words: string, by: FailoverPolicy | undefined): Record<string, number> {
  const placed = placeEndpoints(endpoints(words), HERE, by);
  const standings = placed.endpoints.map(each => ({ ...each, availability: 1, isEjected: false }));
  const { overprovisioning } = placed;
  const spread = spreadOver(standings, { panicBelowPercent: 50, overprovisioning });
  const byCluster: Record<string, number> = {};
  for (const [at, { cluster }] of placed.endpoints.entries()) {
    byCluster[cluster] = (byCluster[cluster] ?? 0) + (spread.shares[at] ?? 0) * 100;
  }
  for (const [cluster, share] of Object.entries(byCluster)) byCluster[cluster] = Math.round(share);
  return byCluster;
}

describe('a service without a failover policy', () => {
  it('is called in the zone, then in the region, then anywhere', () => {
    const placed = placeEndpoints(endpoints('eu:eu/x east:us/b east:us/a'), HERE, undefined);
    expect(placed.endpoints.map(({ priority }) => priority)).to.deep.equal([2, 1, 0]);
    expect(placed.overprovisioning).to.deep.equal([140, 140, 140]);
  });

  it('has no empty priorities', () => {
    const placed = placeEndpoints(endpoints('eu:eu/x east:us/a'), HERE, undefined);
    expect(placed.endpoints.map(({ priority }) => priority)).to.deep.equal([1, 0]);
    expect(placed.overprovisioning).to.deep.equal([140, 140]);
  });
});

describe('a failover policy', () => {
  const EAST_3_WEST_1 = policy(group({ east: 3, west: 1 }), group({ eu: 1 }));

  for (const [title, words, by, expected] of [
    [
      'gives clusters of one group what their weights say',
      'east:us/a west:us/b eu:eu/x',
      EAST_3_WEST_1,
      { east: 75, west: 25, eu: 0 },
    ],
    [
      'divides a weight by the endpoints that share it',
      'east:us/a east:us/a east:us/b west:us/b west:us/b west:us/b west:us/b west:us/b eu:eu/x',
      EAST_3_WEST_1,
      { east: 75, west: 25, eu: 0 },
    ],
    [
      'moves to the neighbour in the group before the next group',
      'east:us/a! west:us/b west:us/b west:us/b eu:eu/x',
      EAST_3_WEST_1,
      { east: 0, west: 100, eu: 0 },
    ],
    [
      'spills to the next group in proportion when too few are healthy',
      'east:us/a! west:us/b eu:eu/x',
      EAST_3_WEST_1,
      { east: 0, west: 70, eu: 30 },
    ],
    [
      'goes to the next group when nobody is left',
      'east:us/a! west:us/b! eu:eu/x',
      EAST_3_WEST_1,
      { east: 0, west: 0, eu: 100 },
    ],
    [
      'spills later where it is told to',
      'east:us/a! west:us/b eu:eu/x',
      policy(group({ east: 3, west: 1 }, { spillBelowPercent: 50 }), group({ eu: 1 })),
      { east: 0, west: 100, eu: 0 },
    ],
    [
      'spills at the first loss where it is told to',
      'east:us/a! west:us/b eu:eu/x',
      policy(group({ east: 3, west: 1 }, { spillBelowPercent: 100 }), group({ eu: 1 })),
      { east: 0, west: 50, eu: 50 },
    ],
    [
      'weighs regions, whatever clusters they are made of',
      'east:us/a west:us/b eu:eu/x',
      policy(group({ us: 1, eu: 1 }, { by: 'region' })),
      { east: 25, west: 25, eu: 50 },
    ],
    [
      'may put a cluster before its region',
      'east:us/a west:us/b eu:eu/x',
      policy(group({ west: 1 }), group({ us: 1, eu: 1 }, { by: 'region' })),
      { east: 0, west: 100, eu: 0 },
    ],
    [
      'does not call what it does not name, even when nothing else is left',
      'east:us/a! eu:eu/x',
      policy(group({ east: 1 })),
      { east: 100 },
    ],
    ['passes over clusters that do not have the service', 'eu:eu/x', EAST_3_WEST_1, { eu: 100 }],
  ] as const) {
    it(title, () => {
      expect(shares(words, by)).to.deep.equal(expected);
    });
  }

  it('keeps the factor of a group with its group when groups before it are empty', () => {
    const by = policy(group({ east: 1 }), group({ eu: 1 }, { spillBelowPercent: 25 }));
    expect(placeEndpoints(endpoints('eu:eu/x'), HERE, by).overprovisioning).to.deep.equal([400]);
  });

  it('has weights that are whole numbers above 0, however many share one', () => {
    const many = Array.from({ length: 30_000 }, () => 'east:us/a').join(' ');
    const placed = placeEndpoints(endpoints(many), HERE, policy(group({ east: 1 })));
    expect(new Set(placed.endpoints.map(({ weight }) => weight))).to.deep.equal(new Set([1]));
  });
});
