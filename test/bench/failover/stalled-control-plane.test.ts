/** Processes of the control plane that stand still (SIGSTOP) for three leases, under calls. */

import { expect } from 'chai';
import { runStalledControlPlane } from '../../../bench/failover/long-cases.ts';
import { startWorld, type World } from '../../../bench/failover/world.ts';

describe('for three leases, a mesh of processes', function () {
  this.timeout(240_000);
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.stop());

  for (const [who, names] of [
    ['the agents of the other clusters', ['west/agent', 'eu/agent']],
    ['the registry and every agent', ['registry', 'east/agent', 'west/agent', 'eu/agent']],
  ] as const) {
    it(`in which ${who} stand still withdraws nothing that lives, and leaves what dies`, async () => {
      const result = await runStalledControlPlane(world, names);
      expect(result.notes, JSON.stringify(result)).to.include({ withdrawn: 0 });
      expect(result.held, JSON.stringify(result)).to.equal(true);
    });
  }
});
