import { expect } from 'chai';
import { type DrillEndpoint, forecastDrain, isSafe } from '../../../src/cli/drill/preflight.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';

const EAST = 'east' as ClusterName;

function cart(...endpoints: readonly DrillEndpoint[]) {
  return { namespace: 'shop', name: 'cart', endpoints };
}

describe('what a drill foresees', () => {
  for (const [what, endpoints, verdict, safe] of [
    [
      'there is room where the others have as much free as leaves',
      [
        { cluster: 'east', capacity: 100, load: 50 },
        { cluster: 'west', capacity: 100, load: 50 },
      ],
      { kind: 'room', needed: 50, free: 50 },
      true,
    ],
    [
      'there is too little where they have less',
      [
        { cluster: 'east', capacity: 100, load: 60 },
        { cluster: 'west', capacity: 40, load: 0 },
        { cluster: 'eu', capacity: 100, load: 90 },
      ],
      { kind: 'too-little', needed: 60, free: 50 },
      false,
    ],
    [
      'what is over its capacity has nothing free, and takes nothing from what others have',
      [
        { cluster: 'east', capacity: 100, load: 30 },
        { cluster: 'west', capacity: 100, load: 150 },
        { cluster: 'eu', capacity: 100, load: 60 },
      ],
      { kind: 'room', needed: 30, free: 40 },
      true,
    ],
    [
      'room is unknown where one of them does not say what it can take',
      [{ cluster: 'east', capacity: 100, load: 60 }, { cluster: 'west' }],
      { kind: 'unknown' },
      true,
    ],
    [
      'nobody takes over what only this cluster serves',
      [{ cluster: 'east' }],
      { kind: 'nobody-else' },
      false,
    ],
  ] as const) {
    it(what, () => {
      const [forecast] = forecastDrain([cart(...endpoints)], EAST);
      expect(forecast?.verdict).to.deep.equal(verdict);
      expect(forecast !== undefined && isSafe(forecast)).to.equal(safe);
    });
  }

  it('says how many endpoints leave and who stays, by cluster', () => {
    const [forecast] = forecastDrain(
      [cart({ cluster: 'east' }, { cluster: 'west' }, { cluster: 'west' }, { cluster: 'eu' })],
      EAST,
    );
    expect(forecast?.leaving).to.equal(1);
    expect([...(forecast?.staying ?? [])]).to.deep.equal([
      ['west', 2],
      ['eu', 1],
    ]);
  });

  it('leaves out what the cluster does not serve', () => {
    expect(forecastDrain([cart({ cluster: 'west' })], EAST)).to.deep.equal([]);
  });
});
