import { expect } from 'chai';
import { describe, it } from 'mocha';
import { importServices } from '../../src/mesh/imports.ts';
import { parseClusterName, type ServiceKey } from '../../src/mesh/names.ts';
import type { ExportedService, ServicePort } from '../../src/mesh/service.ts';
import { endpoint, HTTP_80, service } from './mesh-nouns.ts';

const CART = 'shop/cart' as ServiceKey;
const TCP_80: ServicePort = { port: 80, protocol: 'tcp' };
const TCP_90: ServicePort = { port: 90, protocol: 'tcp' };

function importAll(offers: Readonly<Record<string, readonly ExportedService[]>>) {
  const byCluster = Object.entries(offers).map(
    ([name, services]) => [parseClusterName(name), services] as const,
  );
  return importServices(new Map(byCluster));
}

describe('importServices', () => {
  it('merges the endpoints of every exporting cluster', () => {
    const imports = importAll({
      west: [service('cart', [endpoint('west', 'w')])],
      east: [service('cart', [endpoint('east', 'e')]), service('till', [])],
    });
    expect(imports.get(CART)?.clusters).to.deep.equal(['east', 'west']);
    expect(imports.get(CART)?.endpoints.map(({ workload }) => workload)).to.deep.equal(['e', 'w']);
    expect(imports.size).to.equal(2);
  });

  it('unites ports, and knows whose endpoints serve which', () => {
    const imports = importAll({
      east: [service('cart', [], [HTTP_80])],
      west: [service('cart', [], [HTTP_80, TCP_90])],
    });
    expect(imports.get(CART)?.ports).to.deep.equal([
      { ...HTTP_80, clusters: ['east', 'west'] },
      { ...TCP_90, clusters: ['west'] },
    ]);
    expect(imports.get(CART)?.conflicts).to.deep.equal([]);
  });

  it('settles a conflict the same way in any order, and shows it', () => {
    const east = [service('cart', [], [HTTP_80])];
    const west = [service('cart', [], [TCP_80])];
    for (const imports of [importAll({ east, west }), importAll({ west, east })]) {
      const cart = imports.get(CART);
      expect(cart?.ports).to.deep.equal([{ ...HTTP_80, clusters: ['east', 'west'] }]);
      expect(cart?.conflicts).to.deep.equal([
        { port: 80, winner: 'east', loser: 'west', protocol: 'tcp' },
      ]);
    }
  });
});
