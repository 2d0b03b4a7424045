import { expect } from 'chai';
import fc from 'fast-check';
import { SharedMap } from '../../../src/cluster-agent/xds/shared-map.ts';

describe('a shared map', () => {
  it('holds what a plain map would, and leaves its predecessors as they were', () => {
    const key = fc.stringMatching(/^[a-e]{1,2}$/);
    const change = fc.tuple(key, fc.option(fc.nat(9), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 8 }), batches => {
        let map = new SharedMap<number>();
        let model = new Map<string, number>();
        for (const batch of batches) {
          const [before, then] = [map, model];
          const changes = new Map(batch);
          map = before.with(changes);
          model = new Map(then);
          for (const [name, value] of changes) {
            if (value === undefined) model.delete(name);
            else model.set(name, value);
          }
          for (const [each, expected] of [[map, model] as const, [before, then] as const]) {
            expect([...each.values()].sort()).to.deep.equal([...expected.values()].sort());
            for (const [name] of changes) {
              expect(each.get(name)).to.equal(expected.get(name));
              expect(each.has(name)).to.equal(expected.has(name));
            }
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
