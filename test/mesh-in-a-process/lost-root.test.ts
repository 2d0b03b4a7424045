/** A cluster whose root is lost or stolen: it comes back with a new one, by the ClusterSet's word. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { enrolProxies } from '../../src/cli/demo/provision.ts';
import { findSidecar } from '../../src/cli/fleet.ts';
import { agentOf, operatorChannel } from '../../src/cli/operator.ts';
import { judgeCluster } from '../../src/cli/revocation.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { AgentOperatorDefinition } from '../../src/wire/generated/isthmus/operator/v1/agent.ts';
import type { RolloverProgress } from '../../src/wire/generated/isthmus/operator/v1/rollover.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';
const WEST = parseClusterName('west');

describe('a cluster that has lost its root', function () {
  this.timeout(60_000);
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
    await eventually(() => callPayments());
  });
  after(() => mesh.close());

  async function callPayments(): Promise<void> {
    expect((await mesh.call('east/web', PAYMENTS)).status).to.equal(200);
  }

  it('is refused with its new root until it was revoked and restored, and then serves again', async () => {
    const stateDir = (name: string): string => join(mesh.configDir, '..', 'state', name);
    const west = mesh.fleet.clusters.filter(({ name }) => name === WEST);
    const proxies = west.flatMap(({ gateway, sidecars }) => [gateway, ...sidecars]);
    const names = proxies.map(({ name }) => name);
    await mesh.stop('west/agent', ...names);
    for (const name of names) await rm(stateDir(name), { recursive: true });
    await rm(join(stateDir('west/agent'), 'authority'), { recursive: true });
    await mesh.start('west/agent');
    await enrolProxies({ ...mesh.fleet, clusters: west }, stateDir);
    await mesh.start(...names);
    const { admin } = agentOf(mesh.fleet, WEST);
    await eventually(async () => {
      const registry = await askAdminBody<{ publication?: { message: string } }>(
        admin,
        '/debug/registry',
      );
      expect(registry?.publication?.message).to.match(/not signed by a root/);
    });
    expect((await mesh.call('east/web', PAYMENTS)).status).to.be.gte(400);
    await judgeCluster(mesh.fleet, WEST, true, 'lost its root', 'me');
    await judgeCluster(mesh.fleet, WEST, false, 'has a new one', 'me');
    await eventually(() => callPayments());
  });

  it('to a thief is cut off, has another by force, and is believed again with that one alone', async () => {
    await judgeCluster(mesh.fleet, WEST, true, 'stolen', 'me');
    const channel = await operatorChannel(agentOf(mesh.fleet, WEST), AgentOperatorDefinition);
    const { methods } = AgentOperatorDefinition;
    const call = { signal: new AbortController().signal };
    try {
      const started = await channel.unary(methods.startRollover, { auto: false }, call);
      const old = started.rollover?.from ?? '';
      const until = (ready: (rollover: RolloverProgress) => boolean): Promise<void> =>
        eventually(async () => {
          const { rollover } = await channel.unary(methods.getRollover, {}, call);
          const lacks = rollover?.lacking.map(each => `${each.proxy} ${each.lacks}`).join(', ');
          expect(rollover !== undefined && ready(rollover), lacks).to.equal(true);
        });
      const advance = async (forceReason: string): Promise<void> => {
        await channel.unary(methods.advanceRollover, { forceReason }, call);
      };
      for (let step = 0; step < 3; step += 1) {
        await until(({ progress }) =>
          progress.some(({ cluster, have, of }) => cluster === WEST && of > 0 && have === of),
        );
        await advance('stolen');
      }
      for (let step = 0; step < 2; step += 1) {
        await until(({ lacking }) => lacking.length === 0);
        await advance('');
      }
      await judgeCluster(mesh.fleet, WEST, false, 'has another root', 'me');
      await eventually(() => callPayments());
      const { admin } = findSidecar(mesh.fleet, 'east/web');
      const bundles = await askAdminBody<{ roots: string[] }[]>(admin, '/debug/bundles');
      expect(bundles?.flatMap(({ roots }) => roots))
        .to.have.length(2)
        .and.not.include(old);
    } finally {
      channel.close();
    }
  });
});
