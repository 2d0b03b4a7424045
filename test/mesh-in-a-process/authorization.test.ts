/** What `export` and `exportTo` mean to those who call past the registry: a whole mesh, real files. */

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { loadRoots } from '../../src/trust-federation/authority/root-file.ts';
import { loadSvid, type Svid } from '../../src/trust-federation/identity/svid.ts';
import { formatBundleDocument } from '../../src/wire/bundle-document.ts';
import { formatSni } from '../../src/wire/sni.ts';
import { serviceSni } from '../support/data-plane.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';
import { openStockTunnel } from '../support/stock-tunnel.ts';
import { testAuthority, testSvid } from '../trust-federation/pki.ts';

const HOST = 'payments.shop.svc.clusterset.local';

const PARTNER = testAuthority('partner.example', Date.now());

/** West federates with a partner, and lets it call payments. */
function invitePartner(configDir: string): void {
  const west = join(configDir, 'west');
  writeFileSync(join(west, 'partner.json'), formatBundleDocument(PARTNER.bundle));
  appendFileSync(
    join(west, 'agent.yaml'),
    `federatesWith:
  - trustDomain: partner.example
    profile: https_spiffe
    url: https://localhost:1/
    endpointSpiffeId: spiffe://partner.example/spire/server
    bundle: partner.json
    mayCall: [shop/payments]
`,
  );
}

describe('a service that is exported to one cluster', function () {
  this.timeout(90_000);
  let mesh: Mesh;
  let served = 0;

  before(async () => {
    mesh = await startMesh({
      clusters: ['east', 'west', 'eu'],
      configure: invitePartner,
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

  const state = (name: string): string => join(mesh.configDir, '..', 'state', name);

  /** Somebody in east with the SVID of its web, and all that a caller has to know. */
  async function intrude(): Promise<readonly unknown[]> {
    const svid = await loadSvid(join(state('east/web'), 'identity'));
    if (svid === undefined) throw new Error('east/web has no identity');
    return askWest(svid, 'payments');
  }

  async function askWest(svid: Svid, service: string): Promise<readonly unknown[]> {
    const west = mesh.fleet.clusters.find(({ name }) => name === 'west');
    if (west === undefined) throw new Error('there is no west');
    const answer = await openStockTunnel({
      via: west.gateway.listen,
      svid,
      roots: await loadRoots(
        join(state(`west/${service}`), 'trust-root.pem'),
        west.agent.trustDomain,
      ),
      serverName: formatSni(serviceSni('west', service)),
      authority: `${service}.shop.svc.clusterset.local:80`,
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

  it('serves somebody from outside the ClusterSet what its operator says, and nothing else', async () => {
    const partner = testSvid(PARTNER, 'ns/shop/sa/buyer', Date.now());
    expect(await askWest(partner, 'payments')).to.deep.equal([200, undefined]);
    expect(await askWest(partner, 'checkout')).to.deep.equal([403, 'forbidden']);
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
