/** A cluster that is nearly full sends a share of its calls to another one, and takes them back. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const CHECKOUT = 'http://checkout.shop.svc.clusterset.local/';
const HOLD_MS = 100;

describe('a cluster whose endpoints say what they can do', function () {
  this.timeout(120_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({
      clusters: ['east', 'west'],
      configure: dir => {
        writeFileSync(join(dir, 'east', 'policies.yaml'), 'policies: []\n');
        for (const [cluster, capacity] of [
          ['east', 2],
          ['west', 10],
        ] as const) {
          const file = join(dir, cluster, 'services.yaml');
          const workload = `workload: checkout-${cluster}-0,`;
          const text = readFileSync(file, 'utf8');
          writeFileSync(file, text.replace(workload, `${workload} capacity: ${capacity},`));
        }
      },
      applications: {
        checkout: (request, response) => {
          request.resume();
          const by = request.headers['x-forwarded-client-cert'];
          setTimeout(() => response.end(String(by)), HOLD_MS);
        },
      },
    });
    await eventually(async () =>
      expect((await mesh.call('east/web', CHECKOUT)).status).to.equal(200),
    );
  });
  after(() => mesh.close());

  async function spills(): Promise<Record<string, number>> {
    const agent = mesh.fleet.clusters.find(({ name }) => name === 'east')?.agent.admin;
    const answer = await fetch(`http://${agent?.host}:${agent?.port}/debug/spills`);
    return (await answer.json()) as Record<string, number>;
  }

  it('keeps its calls while there is room, lets a share go when it is full, and has them back', async () => {
    expect(await spills()).to.deep.equal({});
    let isOver = false;
    const servedBy: string[] = [];
    // Twice as many at a time as east can do.
    const callers = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { body } = await mesh.call('east/web', CHECKOUT);
        servedBy.push(body.includes('west.example/ns/shop/sa/checkout') ? 'west' : 'east');
      }
    });
    await eventually(
      async () => expect((await spills())['shop/checkout east']).to.equal(10),
      60_000,
    );
    servedBy.length = 0;
    await eventually(() => expect(servedBy.length).to.be.at.least(60), 60_000);
    expect(servedBy.filter(cluster => cluster === 'west').length).to.be.at.least(3);
    expect(servedBy.filter(cluster => cluster === 'east').length).to.be.at.least(20);
    isOver = true;
    await Promise.all(callers);
    await eventually(
      async () => expect((await spills())['shop/checkout east'] ?? 0).to.equal(0),
      60_000,
    );
  });
});
