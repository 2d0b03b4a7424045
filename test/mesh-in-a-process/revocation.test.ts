/** Revocation as an operator does it, over two clusters assembled in this process. */

import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { gatherRevocations, judgeCluster, judgeIdentity } from '../../src/cli/revocation.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';
const WEB = requireSpiffeId('spiffe://east.example/ns/shop/sa/web');
const WEST = parseClusterName('west');

describe('a revocation', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
    await eventually(() => expectStatus('east/web', 200));
    await eventually(() => expectStatus('east/checkout', 200));
  });
  after(() => mesh.close());

  async function expectStatus(from: string, status: number): Promise<void> {
    expect((await mesh.call(from, PAYMENTS)).status).to.equal(status);
  }

  it('of an identity reaches the other cluster, outlives restarts, and ends', async () => {
    await judgeIdentity(mesh.fleet, WEB, true, 'key lost');
    await eventually(() => expectStatus('east/web', 503));
    await expectStatus('east/checkout', 200);
    await eventually(async () => {
      const { revocations, unreachable } = await gatherRevocations(mesh.fleet);
      expect(unreachable).to.deep.equal([]);
      expect(revocations).to.have.length(1);
      const [revocation] = revocations;
      expect(revocation).to.deep.include({ subject: WEB, reason: 'key lost', lacking: [] });
      // Its agent signs no more for it: an hour, and nobody believes it.
      expect(revocation!.exposedUntilMs! - revocation!.sinceMs).to.equal(3_600_000);
    });
    await mesh.stop('east/agent', 'west/agent', 'west/payments');
    await mesh.start('east/agent', 'west/agent', 'west/payments');
    await eventually(() => expectStatus('east/checkout', 200));
    await expectStatus('east/web', 503);
    await judgeIdentity(mesh.fleet, WEB, false, '');
    await eventually(() => expectStatus('east/web', 200));
    expect((await gatherRevocations(mesh.fleet)).revocations).to.deep.equal([]);
  });

  it("of the agent's own identity is refused: nobody would hear of its end", async () => {
    const agent = requireSpiffeId('spiffe://east.example/ns/isthmus-system/sa/cluster-agent');
    expect(await refusalOf(judgeIdentity(mesh.fleet, agent, true, 'x'))).to.match(/agent itself/);
  });

  it('of what is not revoked cannot be undone', async () => {
    expect(await refusalOf(judgeIdentity(mesh.fleet, WEB, false, ''))).to.match(/not revoked/);
    expect(await refusalOf(judgeCluster(mesh.fleet, WEST, false, '', 'me'))).to.match(
      /not revoked/,
    );
  });

  it('of a cluster cuts it off from the mesh and the registry until it is restored', async () => {
    await judgeCluster(mesh.fleet, WEST, true, 'stolen', 'me');
    await eventually(async () =>
      expect((await mesh.call('east/web', PAYMENTS)).status).to.be.gte(400),
    );
    await eventually(async () => {
      const { revocations } = await gatherRevocations(mesh.fleet);
      expect(revocations).to.have.length(1);
      expect(revocations[0]).to.deep.include({ kind: 'cluster', subject: 'west', lacking: [] });
      expect(revocations[0]).to.not.have.property('exposedUntilMs');
    });
    const west = mesh.fleet.clusters.find(({ name }) => name === WEST)!.agent;
    const registryOf = () => askAdminBody<{ connected: boolean }>(west.admin, '/debug/registry');
    await eventually(async () => expect((await registryOf())?.connected).to.equal(false));
    await mesh.stop('registry', 'east/agent');
    await mesh.start('registry', 'east/agent');
    expect((await mesh.call('east/web', PAYMENTS)).status).to.be.gte(400);
    await judgeCluster(mesh.fleet, WEST, false, 'found again', 'me');
    await eventually(() => expectStatus('east/web', 200));
    await eventually(async () => expect((await registryOf())?.connected).to.equal(true));
  });
});

async function refusalOf(work: Promise<void>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: unknown) => String(error),
  );
}
