/** A cluster that starts while the registry, its peers or both are gone, with and without its files. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { findSidecar } from '../../src/cli/fleet.ts';
import { gatherStatus } from '../../src/cli/status.ts';
import type { ProcessFacts } from '../../src/runtime/process-facts.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const LOCAL = 'http://checkout.shop.svc.cluster.local/';
const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';
/** What is promised, from the start of the cluster's processes to the first answer. */
const READY_MS = 5_000;

describe('a cold start of a cluster', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  let east: readonly string[];
  let west: readonly string[];

  const membersOf = (cluster: string): readonly string[] =>
    mesh.fleet.clusters
      .filter(({ name }) => name === cluster)
      .flatMap(({ agent, gateway, sidecars }) =>
        [agent, gateway, ...sidecars].map(({ name }) => name),
      );

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
    [east, west] = [membersOf('east'), membersOf('west')];
  });
  after(() => mesh.close());

  const isWhole = (): Promise<void> =>
    eventually(async () => {
      expect((await mesh.call('east/web', PAYMENTS)).status).to.equal(200);
      expect((await gatherStatus(mesh.fleet, Date.now())).current).to.equal(true);
    }, 30_000);

  async function stateDirs(): Promise<readonly string[]> {
    const cluster = mesh.fleet.clusters.find(({ name }) => name === 'east');
    if (cluster === undefined) throw new Error('no east');
    const { agent, gateway, sidecars } = cluster;
    return Promise.all(
      [agent, gateway, ...sidecars].map(async ({ admin }) => {
        const says = await askAdminBody<ProcessFacts>(admin, '/debug/process');
        return says?.stateDir ?? '';
      }),
    );
  }

  async function paymentsKnown(): Promise<number> {
    const { admin } = findSidecar(mesh.fleet, 'east/web');
    const upstreams = await askAdminBody<{ host: string; endpoints: unknown[] }[]>(
      admin,
      '/debug/upstreams',
    );
    return upstreams?.find(({ host }) => host.startsWith('payments.'))?.endpoints.length ?? 0;
  }

  const absences: readonly (readonly [what: string, names: () => readonly string[]])[] = [
    ['without the registry', () => ['registry']],
    ['without its peers', () => west],
    ['without the registry and its peers', () => ['registry', ...west]],
  ];
  for (const [what, absent] of absences) {
    for (const isFirst of [false, true]) {
      const files = isFirst ? 'without what it knew on disk' : 'with what it knew on disk';
      it(`${what}, ${files}, serves local traffic within 5 s and is whole once they return`, async () => {
        await isWhole();
        const dirs = await stateDirs();
        await mesh.stop(...east, ...absent());
        if (isFirst) for (const dir of dirs) rmSync(join(dir, 'last-known-good'));
        await mesh.start(...east);
        await eventually(
          async () => expect((await mesh.call('east/web', LOCAL)).status).to.equal(200),
          READY_MS,
        );
        if (!isFirst) expect(await paymentsKnown()).to.equal(1);
        await mesh.start(...absent());
        await isWhole();
      });
    }
  }
});
