import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { EtcdStore } from '../../src/global-registry/etcd-store.ts';
import { loadEtcdTls } from '../../src/global-registry/etcd-tls.ts';
import { type Etcd, startEtcd } from '../support/etcd.ts';
import { configOf } from './records.ts';
import { codeOf, RegistryBed, seenBy } from './registry-bed.ts';

const FILES = { ca: 'ca.pem', cert: 'client.pem', key: 'client.key' };

describe('etcd behind TLS', function () {
  this.timeout(60_000);
  let dir: string;
  let etcd: Etcd;
  let bed: RegistryBed;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-etcd-tls-'));
    makeAuthority(dir, 'ca');
    makeAuthority(dir, 'other-ca');
    await writeFile(join(dir, 'san.cnf'), 'subjectAltName=IP:127.0.0.1\n');
    for (const [name, authority] of [
      ['server', 'ca'],
      ['client', 'ca'],
      ['stranger', 'other-ca'],
    ] as const) {
      makeLeaf(dir, name, authority);
    }
    etcd = await startEtcd({
      'cert-file': join(dir, 'server.pem'),
      'key-file': join(dir, 'server.key'),
      'trusted-ca-file': join(dir, 'ca.pem'),
    });
    bed = await RegistryBed.create();
  });
  after(async () => {
    await bed.close();
    await etcd.stop();
    await rm(dir, { recursive: true });
  });

  const snapshotWith = async (files: typeof FILES): Promise<string> => {
    const store = new EtcdStore(
      [etcd.address],
      await loadEtcdTls(files, join(dir, 'registry.yaml')),
    );
    const code = await codeOf(store.snapshot('/'));
    await store.close();
    return code;
  };

  it('lets in the registry that shows its certificate, and it works as ever', async () => {
    expect(await snapshotWith(FILES)).to.equal('ok');
    const store = { kind: 'etcd' as const, endpoints: [etcd.address], tls: FILES };
    const registry = await bed.start('tls', store, join(dir, 'registry.yaml'));
    const east = bed.clientOf('east', registry);
    await east.publish({ puts: [configOf('east')], deletes: [] });
    expect(await seenBy(east)).to.deep.equal(['east config']);
  });

  it('lets in neither a stranger nor one without a certificate, and is not believed by one who expects another', async () => {
    const stranger = { ...FILES, cert: 'stranger.pem', key: 'stranger.key' };
    expect(await snapshotWith(stranger)).to.equal('STORE_UNAVAILABLE');
    expect(await snapshotWith({ ...FILES, ca: 'other-ca.pem' })).to.equal('STORE_UNAVAILABLE');
    const plain = new EtcdStore([etcd.address]);
    expect(await codeOf(plain.snapshot('/'))).to.equal('STORE_UNAVAILABLE');
    await plain.close();
  });

  it('is not reached with a key that others may read, or files that are not there', async () => {
    chmodSync(join(dir, 'client.key'), 0o644);
    expect(await codeOf(loadEtcdTls(FILES, join(dir, 'x')))).to.equal('FILE_PERMISSIONS');
    chmodSync(join(dir, 'client.key'), 0o600);
    const missing = { ...FILES, key: 'none.key' };
    expect(await codeOf(loadEtcdTls(missing, join(dir, 'x')))).to.equal('FILE_UNREADABLE');
    expect(await codeOf(loadEtcdTls({ ...FILES, ca: 'none' }, join(dir, 'x')))).to.equal(
      'FILE_UNREADABLE',
    );
  });
});

function openssl(dir: string, ...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function makeAuthority(dir: string, name: string): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl(dir, 'req', '-x509', ...NEW_KEY, ...files, '-subj', `/CN=${name}`, '-days', '2');
}

function makeLeaf(dir: string, name: string, authority: string): void {
  const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
  openssl(dir, 'req', '-new', ...NEW_KEY, ...request);
  const signed = ['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', 'san.cnf', '-days', '2'];
  const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  openssl(dir, 'x509', '-req', ...signed, ...by);
  chmodSync(join(dir, `${name}.key`), 0o600);
}
