/** Operators' intents, from the command's client to where calls go. */

import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { IntentClient } from '../../src/cli/intents.ts';
import { MeshError } from '../../src/mesh/errors.ts';
import { type ClusterName, parseNamespace, parseServiceName } from '../../src/mesh/names.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const CHECKOUT = { namespace: parseNamespace('shop'), name: parseServiceName('checkout') };
const URL = 'http://checkout.shop.svc.clusterset.local/';
const [EAST, WEST] = ['east', 'west'] as ClusterName[] as [ClusterName, ClusterName];

describe('an intent', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
    await servedBy('east/web', 'checkout-east-0');
  });
  after(() => mesh.close());

  function servedBy(from: string, workload: string): Promise<void> {
    return eventually(async () => {
      const { status, body } = await mesh.call(from, URL);
      expect(status, body).to.equal(200);
      expect((JSON.parse(body) as { servedBy: string }).servedBy).to.equal(workload);
    });
  }

  function intents<T>(work: (client: IntentClient) => Promise<T>): Promise<T> {
    return IntentClient.use(mesh.fleet, work);
  }

  it('to fail a service over moves its calls there until its time is over', async () => {
    const untilMs = Date.now() + 1_500;
    const failover = { kind: 'failover', ...CHECKOUT, to: WEST, untilMs } as const;
    await intents(client => client.put(failover, 'a test'));
    await servedBy('east/web', 'checkout-west-0');
    expect(Date.now()).to.be.below(untilMs);
    await servedBy('east/web', 'checkout-east-0');
    expect(Date.now()).to.be.at.least(untilMs);
  });

  it('about a name that nobody bears is refused, with the names that are known', async () => {
    const refusalOf = (work: (client: IntentClient) => Promise<void>): Promise<unknown> =>
      intents(work).catch((error: unknown) => error);
    const unknown = await refusalOf(client => client.requireCluster('wset' as ClusterName));
    expect(unknown).to.be.instanceOf(MeshError);
    expect(unknown).to.have.property('message').that.contains('east, west');
    const elsewhere = await refusalOf(client =>
      client.requireExport({ ...CHECKOUT, name: parseServiceName('payments') }, EAST),
    );
    expect(elsewhere).to.have.property('message').that.contains('west do');
    await intents(client => client.requireExport(CHECKOUT, EAST));
    await intents(client => client.requireCluster(WEST));
  });
});
