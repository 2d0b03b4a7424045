/** What an operator writes into policies.yaml is where calls go, over clusters assembled in this process. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

/** For a trial, a slow start and a busy machine. */
const SETTLED_MS = 45_000;
const CHECKOUT = 'http://checkout.shop.svc.clusterset.local/';

function policy(failover: string): string {
  return `policies:\n  - { namespace: shop, service: checkout, failover: { groups: [${failover}] } }\n`;
}

describe('a failover policy', function () {
  this.timeout(150_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({
      clusters: ['east', 'west', 'eu'],
      configure: dir =>
        writeFileSync(
          join(dir, 'east', 'policies.yaml'),
          policy('{ clusters: { west: 1 } }, { regions: { eu-central: 1 } }'),
        ),
    });
    await expectServedBy({ west: 4 });
  });
  after(() => mesh.close());

  /**
   * By cluster, of as many calls in a row as are named; tried again until it is so. What was out a moment
   * ago has all of its share again only after a slow start.
   */
  function expectServedBy(expected: Readonly<Record<string, number>>): Promise<void> {
    const count = Object.values(expected).reduce((a, b) => a + b, 0);
    return eventually(async () => {
      const served: Record<string, number> = {};
      for (let i = 0; i < count; i++) {
        const { status, body } = await mesh.call('east/web', CHECKOUT);
        expect(status, body).to.equal(200);
        const { servedBy } = JSON.parse(body) as { servedBy: string };
        const cluster = servedBy.split('-')[1] ?? '';
        served[cluster] = (served[cluster] ?? 0) + 1;
      }
      expect(served).to.deep.equal(expected);
    }, SETTLED_MS);
  }

  function write(text: string): void {
    writeFileSync(join(mesh.configDir, 'east', 'policies.yaml'), text);
  }

  it('sends calls to the first group, wherever the caller is', async () => {
    await expectServedBy({ west: 8 });
  });

  it('that turns bad leaves the one before in force', async () => {
    write(policy('{ clusters: { east: 0 } }'));
    const agent = mesh.fleet.clusters.find(({ name }) => name === 'east')?.agent.admin;
    await eventually(async () => {
      const answer = await fetch(`http://${agent?.host}:${agent?.port}/debug/policies`);
      const { problem } = (await answer.json()) as { problem?: string };
      expect(problem).to.contain('must be at least 1');
    });
    await expectServedBy({ west: 4 });
  });

  it('is in force without a restart, with its weights', async () => {
    write(policy('{ clusters: { east: 2, west: 1, eu: 1 } }'));
    await expectServedBy({ east: 4, west: 2, eu: 2 });
  });

  it('moves to the next group when nobody in the first can be reached, and back', async () => {
    write(policy('{ clusters: { west: 1 } }, { regions: { eu-central: 1 } }'));
    await expectServedBy({ west: 8 });
    await mesh.stop('west/checkout');
    await expectServedBy({ eu: 8 });
    await mesh.start('west/checkout');
    // A part of its share at once, the rest little by little.
    await expectServedBy({ west: 1 });
  });
});
