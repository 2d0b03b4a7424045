import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import { exportedService, sliceEndpoints } from '../../src/mesh/exports.ts';
import type { WorkloadName } from '../../src/mesh/names.ts';
import { endpoint, service } from './mesh-nouns.ts';

function homesOf(slices: ReturnType<typeof sliceEndpoints>): Map<WorkloadName, number> {
  return new Map(
    slices.flatMap(({ slice, endpoints }) =>
      endpoints.map(({ workload }) => [workload, slice] as const),
    ),
  );
}

describe('exportedService', () => {
  it('is the service when it is exported, and nothing otherwise', () => {
    const cart = service('cart', []);
    expect(exportedService({ ...cart, exported: true })).to.deep.equal(cart);
    expect(exportedService({ ...cart, exported: false })).to.equal(undefined);
  });
});

describe('sliceEndpoints', () => {
  const many = ['a', 'b', 'c', 'd', 'e'].map(name => endpoint('west', name));

  it('keeps a service without endpoints known', () => {
    expect(sliceEndpoints([], new Map(), 2)).to.deep.equal([{ slice: 0, endpoints: [] }]);
  });

  it('fills slices one after the other', () => {
    const slices = sliceEndpoints(many, new Map(), 2);
    expect(slices.map(({ endpoints }) => endpoints.length)).to.deep.equal([2, 2, 1]);
  });

  it('leaves the others where they are when one goes, and gives its place to the next', () => {
    const before = homesOf(sliceEndpoints(many, new Map(), 2));
    const without = many.filter(({ workload }) => workload !== 'b');
    const after = homesOf(sliceEndpoints([...without, endpoint('west', 'f')], before, 2));
    expect(Object.fromEntries(after)).to.deep.equal({ a: 0, f: 0, c: 1, d: 1, e: 2 });
  });

  it('leaves slices bigger than it makes as they are, and adds nobody to them', () => {
    const before = homesOf(sliceEndpoints(many, new Map(), 5));
    const after = homesOf(sliceEndpoints([...many, endpoint('west', 'f')], before, 2));
    expect(Object.fromEntries(after)).to.deep.equal({ a: 0, b: 0, c: 0, d: 0, e: 0, f: 1 });
  });

  it('loses nobody, doubles nobody and fills no slice beyond the limit, whatever was before', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { maxLength: 30 });
    const homes = fc.array(fc.tuple(fc.stringMatching(/^[a-z]{1,3}$/), fc.nat(9)));
    fc.assert(
      fc.property(names, homes, fc.integer({ min: 1, max: 5 }), (workloads, before, max) => {
        const endpoints = workloads.map(name => endpoint('west', name));
        const previous = new Map(before as [WorkloadName, number][]);
        const slices = sliceEndpoints(endpoints, previous, max);
        const placed = slices.flatMap(slice => slice.endpoints.map(({ workload }) => workload));
        expect([...placed].sort()).to.deep.equal([...workloads].sort());
        for (const { slice, endpoints: members } of slices) {
          const moved = members.filter(({ workload }) => previous.get(workload) !== slice);
          expect(moved.length === 0 || members.length <= max).to.equal(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
