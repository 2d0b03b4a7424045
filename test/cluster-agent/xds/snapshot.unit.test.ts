import { expect } from 'chai';
import fc from 'fast-check';
import type { Withdrawn } from '../../../src/cluster-agent/registry/withdrawals.ts';
import { GatewayResources } from '../../../src/cluster-agent/xds/gateway-resources.ts';
import { SidecarResources } from '../../../src/cluster-agent/xds/sidecar-resources.ts';
import {
  type MeshState,
  type Snapshot,
  Snapshots,
} from '../../../src/cluster-agent/xds/snapshot.ts';
import { type ImportedService, importServices } from '../../../src/mesh/imports.ts';
import type { ServiceKey } from '../../../src/mesh/names.ts';
import { type ExportedService, keyOf } from '../../../src/mesh/service.ts';
import { steeringAt } from '../../../src/mesh/steering.ts';
import { config, endpoint, HTTP_80, service } from '../../mesh/mesh-nouns.ts';

const EAST = config('east');
const STEERING = steeringAt([], 0);
const SPILLS = new Map();
const LOCALITY = { region: 'east', zone: '' };

type Round = Readonly<Record<string, { readonly endpoints: number; readonly port: number }>>;

/** A mesh whose services come, change and go; one that goes is said to be withdrawn for one round. */
class Mesh {
  #imports: ReadonlyMap<ServiceKey, ImportedService> = new Map();
  readonly #withdrawn = new Map<ServiceKey, Withdrawn<ImportedService>>();

  next(round: Round): MeshState {
    const before = this.#imports;
    const made = Object.entries(round).map(([name, { endpoints, port }]) => {
      const all = Array.from({ length: endpoints }, (_, i) => endpoint('west', `${name}-${i}`));
      return service(name, all, [{ ...HTTP_80, port }]);
    });
    const fresh = importServices(new Map([[config('west').name, made]]));
    this.#imports = new Map(
      [...fresh].map(([key, each]) => {
        const known = before.get(key);
        const same = known !== undefined && JSON.stringify(known) === JSON.stringify(each);
        return [key, same ? known : each];
      }),
    );
    this.#withdrawn.clear();
    for (const [key, gone] of before) {
      if (!this.#imports.has(key)) this.#withdrawn.set(key, { gone, endpoints: [] });
    }
    return stateOf(made, this.#imports, new Map(this.#withdrawn));
  }
}

function stateOf(
  made: readonly ExportedService[],
  imports: ReadonlyMap<ServiceKey, ImportedService>,
  withdrawn: ReadonlyMap<ServiceKey, Withdrawn<ImportedService>>,
): MeshState {
  return {
    cluster: EAST,
    services: new Map(made.map(each => [keyOf(each), { ...each, exported: true }])),
    exports: made,
    imports,
    clusters: CLUSTERS,
    bundles: [],
    guests: new Map(),
    policies: new Map(),
    spills: SPILLS,
    steering: STEERING,
    withdrawn: { services: new Map(), imports: withdrawn },
    complete: true,
  };
}

const CLUSTERS = new Map([EAST, config('west')].map(each => [each.name, each]));

function contentOf({ types }: Snapshot): unknown {
  return Object.entries(types).map(([type, { version, resources }]) => [
    type,
    version,
    [...resources.values()].map(each => `${each.name}@${each.version}`).sort(),
  ]);
}

const rounds = fc.array(
  fc.dictionary(
    fc.constantFrom('cart', 'pay', 'tea', 'web'),
    fc.record({ endpoints: fc.nat(2), port: fc.constantFrom(80, 90) }),
  ),
  { minLength: 2, maxLength: 6 },
);

describe('snapshots', () => {
  for (const [kind, source] of [
    ['sidecars', () => new SidecarResources(LOCALITY)],
    ['gateways', () => new GatewayResources()],
  ] as const) {
    it(`of ${kind} made one from the other are those made from nothing`, () => {
      fc.assert(
        fc.property(rounds, each => {
          const mesh = new Mesh();
          const series = new Snapshots(source());
          for (const round of each) {
            const state = mesh.next(round);
            const snapshot = series.next(state);
            expect(contentOf(snapshot)).to.deep.equal(
              contentOf(new Snapshots(source()).next(state)),
            );
            expect(series.next(state)).to.equal(snapshot);
          }
        }),
        { numRuns: 100 },
      );
    });
  }

  it('share what did not change with the one before, which stays as it was', () => {
    const cart = (count: number): ExportedService =>
      service(
        'cart',
        Array.from({ length: count }, (_, i) => endpoint('west', `cart-${i}`)),
      );
    const tea = service('tea', [endpoint('west', 'tea-0')]);
    const imports = (...made: ExportedService[]): Map<ServiceKey, ImportedService> =>
      importServices(new Map([[config('west').name, made]]));
    const unchanged = imports(tea);
    const series = new Snapshots(new SidecarResources(LOCALITY));
    const before = series.next(
      stateOf([], new Map([...imports(cart(1)), ...unchanged]), new Map()),
    );
    const was = contentOf(before);
    const after = series.next(stateOf([], new Map([...imports(cart(2)), ...unchanged]), new Map()));
    expect(contentOf(before)).to.deep.equal(was);
    const changed = [...after.types['load-assignment'].resources.values()].filter(
      each => before.types['load-assignment'].resources.get(each.name) !== each,
    );
    expect(changed.map(({ name }) => name)).to.deep.equal([
      [...after.types.cluster.resources.values()].find(({ name }) => name.includes('cart'))?.name,
    ]);
    expect(after.types['route-configuration']).to.deep.equal(before.types['route-configuration']);
  });
});
