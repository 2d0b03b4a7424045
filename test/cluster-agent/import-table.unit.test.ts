import { expect } from 'chai';
import fc from 'fast-check';
import { ImportTable, type Offer } from '../../src/cluster-agent/import-table.ts';
import { importServices, withoutTombstones } from '../../src/mesh/imports.ts';
import { type ClusterName, parseClusterName, type ServiceKey } from '../../src/mesh/names.ts';
import type { ExportedService } from '../../src/mesh/service.ts';
import { endpoint, service } from '../mesh/mesh-nouns.ts';

const [EAST, WEST] = [parseClusterName('east'), parseClusterName('west')];

function offer(exports: readonly ExportedService[], isServed = true): Offer {
  return { exports, isServed };
}

describe('the table of imports', () => {
  it('holds what merging all offers anew would give, whatever changed', () => {
    const offers = fc.dictionary(
      fc.constantFrom('east', 'west', 'eu'),
      fc.record({
        services: fc.uniqueArray(fc.tuple(fc.constantFrom('cart', 'pay', 'tea'), fc.nat(2)), {
          selector: ([name]) => name,
        }),
        isServed: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(fc.array(offers, { minLength: 1, maxLength: 6 }), rounds => {
        const table = new ImportTable();
        for (const round of rounds) {
          const now = new Map<ClusterName, Offer>();
          for (const [cluster, { services, isServed }] of Object.entries(round)) {
            const exports = services.map(([name, count]) =>
              service(
                name,
                Array.from({ length: count }, (_, i) => endpoint(cluster, `${name}-${i}`)),
              ),
            );
            now.set(parseClusterName(cluster), offer(exports, isServed));
          }
          table.refresh(now);
          const all = new Map([...now].map(([cluster, each]) => [cluster, each.exports]));
          const isServed = (cluster: ClusterName): boolean => now.get(cluster)?.isServed === true;
          const expected = importServices(withoutTombstones(all, isServed));
          expect(new Map(table.services.entries())).to.deep.equal(expected);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('tells of the services whose offers changed, and of no other', () => {
    const table = new ImportTable();
    const tea = service('tea', [endpoint('east', 'tea-0')]);
    const cart = service('cart', [endpoint('east', 'cart-0')]);
    const west = offer([service('cart', [endpoint('west', 'cart-0')])]);
    table.refresh(
      new Map([
        [EAST, offer([tea, cart])],
        [WEST, west],
      ]),
    );
    const told: ServiceKey[] = [];
    table.services.observe(changes => told.push(...changes.map(({ key }) => key)));
    const before = table.services.get('shop/tea' as ServiceKey);
    const moved = service('cart', [endpoint('east', 'cart-1')]);
    table.refresh(
      new Map([
        [EAST, offer([tea, moved])],
        [WEST, west],
      ]),
    );
    expect(told).to.deep.equal(['shop/cart']);
    expect(table.services.get('shop/tea' as ServiceKey)).to.equal(before);
    table.refresh(new Map([[EAST, offer([tea])]]));
    expect(told).to.deep.equal(['shop/cart', 'shop/cart']);
    expect([...table.services.entries().keys()]).to.deep.equal(['shop/tea']);
  });
});
