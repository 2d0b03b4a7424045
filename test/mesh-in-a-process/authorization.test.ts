/** What `export` and `exportTo` mean to those who call past the registry: a whole mesh, real files. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { loadRoots } from '../../src/trust-federation/authority/root-file.ts';
import { loadSvid } from '../../src/trust-federation/identity/svid.ts';
import { formatSni } from '../../src/wire/sni.ts';
import { serviceSni } from '../support/data-plane.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';
import { openStockTunnel } from '../support/stock-tunnel.ts';

const HOST = 'payments.shop.svc.clusterset.local';

describe('a service that is exported to one cluster', function () {
  this.timeout(90_000);
  let mesh: Mesh;
  let served = 0;

  before(async () => {
    mesh = await startMesh({
      clusters: ['east', 'west', 'eu'],
      applications: {
        payments: (_request, response) => {
          served++;
          response.end('served');
        },
      },
    });
    await eventually(() => expectServed('east/web'));
    exportTo('[eu]');
    await eventually(async () => expect(await statusOf('east/web')).to.equal(404));
  });
  after(() => mesh.close());

  function exportTo(clusters: string): void {
    const file = join(mesh.configDir, 'west', 'services.yaml');
    const text = readFileSync(file, 'utf8').replace(/ +exportTo: .*\n/, '');
    const exported = /(- name: payments\n(?:.*\n)*?    export: true\n)/;
    expect(text).to.match(exported);
    writeFileSync(file, text.replace(exported, `$1    exportTo: ${clusters}\n`));
  }

  async function statusOf(from: string): Promise<number | undefined> {
    return (await mesh.call(from, `http://${HOST}/`)).status;
  }

  async function expectServed(...callers: readonly string[]): Promise<void> {
    for (const from of callers) expect(await statusOf(from), from).to.equal(200);
  }

  /** Somebody in east with the SVID of its web, and all that a caller has to know. */
  async function intrude(): Promise<readonly unknown[]> {
    const state = (name: string) => join(mesh.configDir, '..', 'state', name);
    const svid = await loadSvid(join(state('east/web'), 'identity'));
    const west = mesh.fleet.clusters.find(({ name }) => name === 'west');
    if (svid === undefined || west === undefined) throw new Error('east/web has no identity');
    const answer = await openStockTunnel({
      via: west.gateway.listen,
      svid,
      roots: await loadRoots(
        join(state('west/payments'), 'trust-root.pem'),
        west.agent.trustDomain,
      ),
      serverName: formatSni(serviceSni('west', 'payments')),
      authority: `${HOST}:80`,
    });
    answer.close();
    return [answer.status, answer.error];
  }

  it('serves that one and its own, and nobody else who knows the way', async () => {
    const before_ = served;
    expect(await intrude()).to.deep.equal([403, 'forbidden']);
    expect(served).to.equal(before_);
    await expectServed('eu/checkout', 'west/checkout');
    expect(served).to.equal(before_ + 2);
  });

  it('goes on so when its sidecar restarts and its agent is gone', async () => {
    await mesh.stop('west/agent', 'west/payments');
    await mesh.start('west/payments');
    expect(await intrude()).to.deep.equal([403, 'forbidden']);
    await eventually(() => expectServed('eu/checkout', 'west/checkout'));
    await mesh.start('west/agent');
  });

  it('serves the other one again when it is exported to it', async () => {
    exportTo('[eu, east]');
    await eventually(() => expectServed('east/web'));
    expect(await intrude()).to.deep.equal([200, undefined]);
  });
});
