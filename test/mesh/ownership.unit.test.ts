import { expect } from 'chai';
import type { ClusterName } from '../../src/mesh/names.ts';
import { standings, usableExports } from '../../src/mesh/ownership.ts';
import { service } from './mesh-nouns.ts';

const [east, west, eu] = ['east', 'west', 'eu'] as ClusterName[] as [
  ClusterName,
  ClusterName,
  ClusterName,
];
const CART = service('cart', []);
const exporters = [
  { cluster: west, since: 20n },
  { cluster: east, since: 10n },
  { cluster: eu, since: 30n },
];

const owners = (said?: readonly ClusterName[]): ClusterName[] =>
  [...standings(CART, exporters, said)].flatMap(([name, { kind }]) =>
    kind === 'owner' ? [name] : [],
  );

describe('a service that several clusters export', () => {
  it('is owned by the first of them, while nobody has said whose it is', () => {
    expect(owners()).to.deep.equal(['east']);
  });

  it('is owned by exactly those that operators name, whoever came first', () => {
    expect(owners([west, eu])).to.deep.equal(['west', 'eu']);
    expect(owners([])).to.deep.equal([]);
  });

  it('is owned by the one whose name sorts first, when two came at once', () => {
    const atOnce = [west, eu].map(cluster => ({ cluster, since: 7n }));
    expect(standings(CART, atOnce, undefined).get(eu)).to.deep.equal({ kind: 'owner' });
  });

  it('tells those who wait for whom, and how to approve them', () => {
    const waiting = standings(CART, exporters, undefined).get(west);
    expect(waiting?.kind === 'waiting' && waiting.why).to.match(
      /^shop\/cart of cluster "west" is not shown to others: "east" exported it first; .*isthmus service approve shop\/cart --cluster west$/,
    );
    const unowned = standings(CART, exporters, [eu]).get(west);
    expect(unowned?.kind === 'waiting' && unowned.why).to.include('its owners are "eu"');
  });
});

describe('what an importer uses of a cluster', () => {
  const shared = service('cart', []);
  const forWest = { ...service('stock', []), exportTo: [west] };
  const use = (reader: ClusterName, said?: readonly ClusterName[]): string[] =>
    usableExports(reader, east, [shared, forWest], () => said).map(({ name }) => name);

  it('is what is meant for it', () => {
    expect(use(west)).to.deep.equal(['cart', 'stock']);
    expect(use(eu)).to.deep.equal(['cart']);
  });

  it('is nothing of a service that the cluster may not back, whatever a registry shows', () => {
    expect(use(west, [eu])).to.deep.equal([]);
    expect(use(west, [eu, east])).to.deep.equal(['cart', 'stock']);
  });
});
