/** Operators' intents, from the command's client to where calls go. */

import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { type DrillOptions, runDrill } from '../../src/cli/drill/drill.ts';
import { IntentClient } from '../../src/cli/intents.ts';
import { formatStatus, gatherStatus } from '../../src/cli/status.ts';
import { MeshError } from '../../src/mesh/errors.ts';
import type { Intent } from '../../src/mesh/intent.ts';
import { type ClusterName, parseNamespace, parseServiceName } from '../../src/mesh/names.ts';
import { sleep } from '../../src/runtime/supervise.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const CHECKOUT = { namespace: parseNamespace('shop'), name: parseServiceName('checkout') };
const URL = 'http://checkout.shop.svc.clusterset.local/';
const [EAST, WEST] = ['east', 'west'] as ClusterName[] as [ClusterName, ClusterName];

describe('an intent', function () {
  this.timeout(120_000);
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

  /** Without what was said of who owns the services. */
  async function steering(): Promise<Intent[]> {
    const all = await intents(client => client.list());
    return all.filter(({ kind }) => kind !== 'service-ownership');
  }

  it('to fail a service over moves its calls there until its time is over', async () => {
    const failOverFor = (ms: number): Promise<void> => {
      const untilMs = Date.now() + ms;
      const failover = { kind: 'failover', ...CHECKOUT, to: WEST, untilMs } as const;
      return intents(client => client.put(failover, 'a test'));
    };
    await failOverFor(3_600_000);
    await servedBy('east/web', 'checkout-west-0');
    await failOverFor(300);
    await servedBy('east/web', 'checkout-east-0');
    expect(await steering()).to.have.length(1);
    await intents(client => client.delete('failover/shop/checkout'));
  });

  it('to drain a cluster is obeyed by its callers while its agent is down, and taken back', async () => {
    await mesh.stop('west/agent');
    await intents(client =>
      client.put({ kind: 'drain', cluster: WEST, startMs: Date.now(), overMs: 0 }, 'a test'),
    );
    const failover = {
      kind: 'failover',
      ...CHECKOUT,
      to: WEST,
      untilMs: Date.now() + 60_000,
    } as const;
    await intents(client => client.put(failover, 'west would be first if it were not drained'));
    await eventually(async () => {
      expect(await steering()).to.have.length(2);
    });
    await servedBy('east/web', 'checkout-east-0');
    expect(await intents(client => client.delete('drain/west'))).to.equal(true);
    await servedBy('east/web', 'checkout-west-0');
    expect(await intents(client => client.delete('failover/shop/checkout'))).to.equal(true);
    await servedBy('east/web', 'checkout-east-0');
    await mesh.start('west/agent');
  });

  it('to drain a cluster moves its own callers too', async () => {
    await intents(client =>
      client.put({ kind: 'drain', cluster: EAST, startMs: Date.now(), overMs: 0 }, 'a test'),
    );
    await servedBy('east/web', 'checkout-west-0');
    const status = await gatherStatus(mesh.fleet, Date.now());
    expect(status.steering).to.have.length(1);
    expect(formatStatus(status)).to.match(/drain +east +drained/);
    await intents(client => client.delete('drain/east'));
    await servedBy('east/web', 'checkout-east-0');
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
    expect(elsewhere).to.have.property('message').that.contains('exported by: west');
    await intents(client => client.requireExport(CHECKOUT, EAST));
    await intents(client => client.requireCluster(WEST));
  });

  describe('of a drill', () => {
    let said: string[];
    const drill = (cluster: ClusterName, more: Partial<DrillOptions> = {}) => {
      said = [];
      return runDrill(mesh.fleet, {
        cluster,
        baselineMs: 200,
        overMs: 0,
        holdMs: 1_500,
        isForced: false,
        say: line => said.push(line),
        signal: new AbortController().signal,
        ...more,
      });
    };
    /** Calls one after the other until told to stop. */
    const keepCalling = (url: string): (() => Promise<void>) => {
      let goesOn = true;
      const calling = (async () => {
        while (goesOn) {
          await mesh.call('east/web', url);
          await sleep(10);
        }
      })();
      return () => {
        goesOn = false;
        return calling;
      };
    };

    it('moves calls, sees no harm, and gives the cluster its traffic back', async () => {
      const stop = keepCalling(URL);
      expect(await drill(EAST, { isForced: true })).to.equal('held');
      await stop();
      expect(said.join('\n')).to.match(
        /100 % drained, [1-9][0-9]* calls\/s, 0 % of them to east, 0 failed/,
      );
      expect(said.join('\n')).to.match(/held: .*0 of [1-9][0-9]* calls failed/);
      expect(await steering()).to.deep.equal([]);
      await servedBy('east/web', 'checkout-east-0');
    });

    it('ends at the first sign of harm', async () => {
      let fails = false;
      await mesh.stopApplication('west/checkout');
      await mesh.startApplication('west/checkout', (request, response) => {
        request.resume();
        response.writeHead(fails ? 500 : 200).end('{"servedBy":"checkout-west-0"}');
      });
      fails = true;
      const stop = keepCalling(URL);
      expect(await drill(EAST, { isForced: true, holdMs: 30_000 })).to.equal('harmed');
      await stop();
      expect(said.join('\n')).to.match(/harm.* calls failed/);
      expect(await steering()).to.deep.equal([]);
      fails = false;
    });

    it('ends when told, and refuses what has no room unless forced', async () => {
      const enough = AbortSignal.timeout(1_500);
      expect(await drill(EAST, { holdMs: 60_000, isForced: true, signal: enough })).to.equal(
        'ended',
      );
      expect(await steering()).to.deep.equal([]);
      expect(await drill(WEST)).to.equal('refused');
      expect(said.join('\n')).to.match(/shop\/payments.*no other cluster serves it/);
    });

    it("leaves an operator's own drain alone", async () => {
      const meant = { kind: 'drain', cluster: EAST, startMs: Date.now(), overMs: 0 } as const;
      await intents(client => client.put(meant, 'meant'));
      const refusal: unknown = await drill(EAST, { isForced: true }).catch(
        (error: unknown) => error,
      );
      expect(refusal).to.be.instanceOf(MeshError);
      expect(await intents(client => client.delete('drain/east'))).to.equal(true);
    });
  });
});
