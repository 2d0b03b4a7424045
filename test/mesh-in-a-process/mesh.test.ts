/** What the mesh promises as a whole, over two clusters assembled in this process. */

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { gatherStatus } from '../../src/cli/status.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';
import { yamlFiles } from '../support/relocate.ts';

const clusterset = (service: string): string => `http://${service}.shop.svc.clusterset.local/`;

describe('a mesh of two clusters', function () {
  this.timeout(60_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west'] });
    await eventually(() => expectServedBy('east/web', clusterset('payments'), 'payments-west-0'));
  });
  after(() => mesh.close());

  async function expectServedBy(from: string, url: string, workload: string): Promise<string> {
    const { status, body } = await mesh.call(from, url);
    expect(status, body).to.equal(200);
    const answer = JSON.parse(body) as { servedBy: string; caller: string };
    expect(answer.servedBy).to.equal(workload);
    return answer.caller;
  }

  it('carries a call by name to the only cluster that has the service', async () => {
    const caller = await expectServedBy('east/web', clusterset('payments'), 'payments-west-0');
    expect(caller).to.contain('URI=spiffe://east.example/ns/shop/sa/web');
  });

  it('answers for a service that nobody exports as for one that does not exist', async () => {
    const ledger = await mesh.call('east/web', clusterset('ledger'));
    const nothing = await mesh.call('east/web', clusterset('nothing'));
    expect(ledger.status).to.equal(404);
    expect(nothing.status).to.equal(404);
    await expectServedBy('west/checkout', 'http://ledger.shop.svc.cluster.local/', 'ledger-west-0');
  });

  it('keeps calls in their own cluster, moves them when its application is gone, and brings them home', async () => {
    await expectServedBy('east/web', clusterset('checkout'), 'checkout-east-0');
    await mesh.stopApplication('east/checkout');
    await expectServedBy('east/web', clusterset('checkout'), 'checkout-west-0');
    await mesh.startApplication('east/checkout');
    await eventually(() => expectServedBy('east/web', clusterset('checkout'), 'checkout-east-0'));
  });

  it('moves calls when the sidecar of the local endpoint is gone', async () => {
    await mesh.stop('east/checkout');
    await expectServedBy('east/web', clusterset('checkout'), 'checkout-west-0');
    await mesh.start('east/checkout');
    await eventually(() => expectServedBy('east/web', clusterset('checkout'), 'checkout-east-0'));
  });

  it('exports and withdraws a service when its file is edited', async () => {
    const file = join(mesh.configDir, 'west', 'services.yaml');
    const original = readFileSync(file, 'utf8');
    writeFileSync(file, original.replace('export: false', 'export: true'));
    await eventually(() => expectServedBy('east/web', clusterset('ledger'), 'ledger-west-0'));
    writeFileSync(file, original);
    await eventually(async () => {
      expect((await mesh.call('east/web', clusterset('ledger'))).status).to.equal(404);
    });
  });

  it('keeps what it had when a services file turns bad', async () => {
    const file = join(mesh.configDir, 'west', 'services.yaml');
    const original = readFileSync(file, 'utf8');
    const good = original.replace('export: false', 'export: true');
    writeFileSync(file, `${good}  - nmae: typo\n`);
    // A good edit of the other cluster's file, seen to take effect, shows that edits are being read.
    const other = join(mesh.configDir, 'east', 'services.yaml');
    const otherOriginal = readFileSync(other, 'utf8');
    writeFileSync(other, otherOriginal.replace('export: false', 'export: true'));
    await eventually(() =>
      mesh
        .call('west/checkout', clusterset('web'))
        .then(({ status }) => expect(status).to.equal(200)),
    );
    expect((await mesh.call('east/web', clusterset('ledger'))).status).to.equal(404);
    await expectServedBy('east/web', clusterset('payments'), 'payments-west-0');
    writeFileSync(file, original);
    writeFileSync(other, otherOriginal);
  });

  it('goes on with registry and agents gone, says so, and is current again after their return', async () => {
    const controlPlane = ['registry', 'east/agent', 'west/agent'];
    await mesh.stop(...controlPlane);
    await expectServedBy('east/web', clusterset('payments'), 'payments-west-0');
    await eventually(async () => {
      const { current, clusters } = await gatherStatus(mesh.fleet, Date.now());
      expect(current).to.equal(false);
      expect(clusters.map(({ name, state }) => [name, state.kind])).to.deep.equal([
        ['east', 'stale'],
        ['west', 'stale'],
      ]);
    });
    await mesh.start(...controlPlane);
    await eventually(async () =>
      expect((await gatherStatus(mesh.fleet, Date.now())).current).to.equal(true),
    );
  });

  it('is not harmed by garbage on any of its ports', async () => {
    const ports = listeningPorts(mesh.configDir);
    expect(ports.length).to.be.greaterThan(20);
    const noise = [
      randomBytes(64 * 1024),
      Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      // A TLS record that announces more than it brings.
      Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01, 0x00, 0xff, 0xff]),
    ];
    await Promise.all(ports.flatMap(port => noise.map(bytes => throwAt(port, bytes))));
    await expectServedBy('east/web', clusterset('payments'), 'payments-west-0');
    // East's own has been away, and gets its share back little by little.
    await eventually(() => expectServedBy('east/web', clusterset('checkout'), 'checkout-east-0'));
    expect((await gatherStatus(mesh.fleet, Date.now())).current).to.equal(true);
  });

  it('lets a sidecar start from its last good state with the whole control plane gone', async () => {
    const controlPlane = ['registry', 'east/agent', 'west/agent'];
    await mesh.stop(...controlPlane, 'east/web');
    await mesh.start('east/web');
    await expectServedBy('east/web', clusterset('payments'), 'payments-west-0');
    await mesh.start(...controlPlane);
    await eventually(async () =>
      expect((await gatherStatus(mesh.fleet, Date.now())).current).to.equal(true),
    );
  });
});

/** Of everything that the two clusters run. */
function listeningPorts(configDir: string): number[] {
  const files = ['registry.yaml', 'east', 'west'].flatMap(name => yamlFiles(join(configDir, name)));
  const ports = files.flatMap(file =>
    [...readFileSync(file, 'utf8').matchAll(/127\.0\.0\.1:([0-9]+)/g)].map(([, port]) =>
      Number(port),
    ),
  );
  return [...new Set(ports)];
}

/** Resolves when the other side has answered or closed; either is its right. */
function throwAt(port: number, bytes: Buffer): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.resume();
  });
}
