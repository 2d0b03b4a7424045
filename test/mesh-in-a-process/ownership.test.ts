/** Service ownership and the journal as operators meet them: real commands, a whole mesh. */

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { askAdminBody } from '../../src/cli/admin-client.ts';
import { agentOf } from '../../src/cli/operator.ts';
import { eventually, type Mesh, startMesh } from '../support/mesh.ts';

const BIN = fileURLToPath(new URL('../../../bin/isthmus.js', import.meta.url));
const run = promisify(execFile);

interface RegistryLink {
  readonly publication?: { readonly code: string };
  readonly notices: readonly { readonly kind: string; readonly message: string }[];
}
interface Import {
  readonly name: string;
  readonly clusters: readonly string[];
}

describe('who backs a service', function () {
  this.timeout(90_000);
  let mesh: Mesh;

  before(async () => {
    mesh = await startMesh({ clusters: ['east', 'west', 'eu'] });
  });
  after(() => mesh.close());

  const isthmus = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [BIN, ...args, '--config-dir', mesh.configDir])).stdout;
  const askAgent = <T>(cluster: string, path: string): Promise<T | undefined> =>
    askAdminBody<T>(agentOf(mesh.fleet, cluster).admin, path);
  const backing = async (reader: string): Promise<readonly string[]> => {
    const imports = (await askAgent<Import[]>(reader, '/debug/imports')) ?? [];
    return imports.find(({ name }) => name === 'checkout')?.clusters ?? [];
  };

  it('is what operators say, seen by importers, told to who waits, and written down', async () => {
    expect(await isthmus('service', 'list')).to.match(
      /shop\/checkout +east, eu, west +east, eu, west/,
    );
    await isthmus('service', 'own', 'shop/checkout', '--clusters', 'west', '--reason', 'eu is new');
    await eventually(async () => expect(await backing('east')).to.deep.equal(['east', 'west']));
    expect(await isthmus('service', 'list')).to.match(/shop\/checkout +west +west +east, eu/);
    await eventually(async () => {
      const link = await askAgent<RegistryLink>('eu', '/debug/registry');
      expect(link?.notices.map(({ kind }) => kind)).to.include('export-waiting');
      expect(link?.notices[0]?.message).to.include('its owners are "west"');
    });
    expect(await isthmus('service', 'approve', 'shop/checkout', '--cluster', 'eu')).to.include(
      'shop/checkout is backed by eu, west',
    );
    await eventually(async () => expect(await backing('east')).to.include('eu'));
    const entries = (await isthmus('audit', '-o', 'json'))
      .trim()
      .split('\n')
      .map(
        line =>
          JSON.parse(line) as {
            who: string;
            changes: { action: string; subject: string; after: string }[];
          },
      );
    const owned = entries.filter(({ changes }) =>
      changes.some(({ subject }) => subject === 'service-ownership/shop/checkout'),
    );
    expect(owned.map(({ changes }) => changes[0]?.after)).to.deep.equal([
      'clusters east, eu, west (exported by all of them)',
      'clusters west (eu is new)',
      'clusters eu, west',
    ]);
    expect(owned[0]?.who).to.match(/^operator /);
    expect(await isthmus('audit')).to.match(/cluster-joined .*east.* by spiffe:/);
  });

  it('narrows to the clusters that an export is for', async () => {
    const file = join(mesh.configDir, 'west', 'services.yaml');
    const before_ = readFileSync(file, 'utf8');
    const narrowed = before_.replace(
      /(- name: payments\n(?:.*\n)*?    export: true\n)/,
      '$1    exportTo: [eu]\n',
    );
    expect(narrowed).to.not.equal(before_);
    const importers = async (reader: string): Promise<string[]> =>
      ((await askAgent<Import[]>(reader, '/debug/imports')) ?? []).map(({ name }) => name);
    await eventually(async () => expect(await importers('east')).to.include('payments'));
    writeFileSync(file, narrowed);
    await eventually(async () => expect(await importers('east')).to.not.include('payments'));
    expect(await importers('eu')).to.include('payments');
    writeFileSync(file, before_);
    await eventually(async () => expect(await importers('east')).to.include('payments'));
  });

  it('is not disturbed by a restarted agent, which takes over at once', async () => {
    await mesh.stop('west/agent');
    await mesh.start('west/agent');
    const started = Date.now();
    await eventually(async () => {
      const link = await askAgent<RegistryLink & { leaseExpiresMs?: number }>(
        'west',
        '/debug/registry',
      );
      expect(link?.leaseExpiresMs).to.be.greaterThan(started);
      expect(link?.publication).to.equal(undefined);
    }, 8_000);
  });
});
