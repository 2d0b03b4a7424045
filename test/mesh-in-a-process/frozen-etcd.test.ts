/** Faults of the control plane under calls, in the time a test may take; the soak has the long ones. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { parseDocument } from 'yaml';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { findSidecar } from '../../src/cli/fleet.ts';
import { gatherStatus } from '../../src/cli/status.ts';
import { LEASE_TTL_MS } from '../../src/cluster-agent/limits.ts';
import { formatAddress } from '../../src/mesh/address.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const PAYMENTS = 'http://payments.shop.svc.clusterset.local/';
const CHECKOUT = 'http://checkout.shop.svc.clusterset.local/';
const RESTARTS = 10;

describe('a mesh on etcd', function () {
  this.timeout(120_000);
  let etcd: Etcd;
  let mesh: Mesh;

  before(async () => {
    etcd = await startEtcd();
    const configure = (dir: string): void => {
      const file = join(dir, 'registry.yaml');
      const document = parseDocument(readFileSync(file, 'utf8'));
      document.set('store', { kind: 'etcd', endpoints: [formatAddress(etcd.address)] });
      writeFileSync(file, document.toString());
    };
    mesh = await startMesh({ clusters: ['east', 'west'], configure });
    await eventually(async () => expect((await call()).status).to.equal(200));
  });
  after(async () => {
    await mesh.close();
    await etcd.stop();
  });

  const call = () => mesh.call('east/web', PAYMENTS);

  async function callee(url: string): Promise<string> {
    const { status, body } = await mesh.call('east/web', url);
    expect(status, body).to.equal(200);
    return (JSON.parse(body) as { servedBy: string }).servedBy;
  }

  /** Calls one after the other until it is done; returns the answers that were not 200. */
  async function failuresWhile(work: Promise<unknown>): Promise<number[]> {
    const failures: number[] = [];
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      const { status } = await call();
      if (status !== 200) failures.push(status);
    }
    await done;
    return failures;
  }

  async function endpointsOfPayments(): Promise<number> {
    const { admin } = findSidecar(mesh.fleet, 'east/web');
    const upstreams = await askAdminBody<{ host: string; endpoints: unknown[] }[]>(
      admin,
      '/debug/upstreams',
    );
    return upstreams?.find(({ host }) => host.startsWith('payments.'))?.endpoints.length ?? 0;
  }

  it('takes no live endpoint away when etcd stands still past every lease, calls none that dies meanwhile, and is current again after', async () => {
    expect(await callee(CHECKOUT)).to.equal('checkout-east-0');
    etcd.freeze();
    const pastEveryLease = new Promise(resolve => setTimeout(resolve, 3 * LEASE_TTL_MS));
    expect(await failuresWhile(pastEveryLease)).to.deep.equal([]);
    // Nobody can say so in the registry: its callers see it.
    await mesh.stopApplication('east/checkout');
    expect(await callee(CHECKOUT)).to.equal('checkout-west-0');
    etcd.thaw();
    let fewest = Infinity;
    const current = eventually(async () => {
      fewest = Math.min(fewest, await endpointsOfPayments());
      expect((await gatherStatus(mesh.fleet, Date.now())).current).to.equal(true);
    });
    expect(await failuresWhile(current)).to.deep.equal([]);
    expect(fewest).to.equal(1);
  });

  it('fails no call while an agent restarts again and again', async () => {
    const restarts = async (): Promise<void> => {
      for (let count = 0; count < RESTARTS; count++) {
        await mesh.stop('east/agent');
        await mesh.start('east/agent');
      }
    };
    expect(await failuresWhile(restarts())).to.deep.equal([]);
  });
});
