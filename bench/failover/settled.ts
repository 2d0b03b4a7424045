/** Between two cases: what one has broken is whole again before the next begins. */

import { sleep } from '../../src/runtime/supervise.ts';
import { Load } from './load.ts';
import { SERVICE_HOST, type SeenEndpoint, type World } from './world.ts';

/** Two returns, one after the other: damping keeps a path out for 30 s of unbroken answers. */
const WITHIN_MS = 120_000;

/** Every way of the service is in service, also those that were out a moment ago. */
export async function settled(world: World): Promise<void> {
  const warm = new Load(world.entry, SERVICE_HOST, 20);
  const deadline = performance.now() + WITHIN_MS;
  const isOut = ({ cluster, outOfService, ways }: SeenEndpoint): boolean =>
    cluster !== 'east' &&
    (outOfService !== undefined ||
      ways.some(
        ({ probed, outSinceMs, gatewayOutSinceMs }) =>
          outSinceMs !== undefined ||
          gatewayOutSinceMs !== undefined ||
          (probed !== undefined && probed.kind !== 'up' && probed.kind !== 'unknown'),
      ));
  while ((await world.endpoints()).some(isOut)) {
    if (performance.now() > deadline)
      throw new Error('the mesh does not settle between two faults');
    await sleep(500);
  }
  await warm.stop();
}
