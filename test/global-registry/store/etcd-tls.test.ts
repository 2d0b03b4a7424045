import { chmodSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect } from 'chai';
import { EtcdCluster } from '../../../soak/registry/etcd-cluster.ts';
import { ProcessSet } from '../../../src/cli/demo/processes.ts';
import { EtcdStore } from '../../../src/global-registry/store/etcd-store.ts';
import { loadEtcdTls } from '../../../src/global-registry/store/etcd-tls.ts';
import { closeServer, listen } from '../../../src/runtime/listen.ts';
import { eventually } from '../../support/data-plane.ts';
import { type Etcd, startEtcd } from '../../support/etcd.ts';
import { makeEtcdPki } from '../../support/etcd-pki.ts';
import { configOf } from '../records.ts';
import { codeOf, RegistryBed, seenBy } from '../registry-bed.ts';
import { storeContract } from '../store-contract.ts';

const FILES = { ca: 'ca.pem', cert: 'client.pem', key: 'client.key' };

describe('etcd behind TLS', function () {
  this.timeout(60_000);
  let dir: string;
  let etcd: Etcd;
  let bed: RegistryBed;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-etcd-tls-'));
    makeEtcdPki(dir);
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

  it('is believed by the address that its certificate names, and not by a name that it does not', async () => {
    const named = new EtcdStore(
      [{ host: 'localhost', port: etcd.address.port }],
      await loadEtcdTls(FILES, join(dir, 'registry.yaml')),
    );
    expect(await codeOf(named.snapshot('/'))).to.equal('STORE_UNAVAILABLE');
    await named.close();
    expect(await snapshotWith(FILES)).to.equal('ok');
  });

  it('is told the name it was asked for by, and never an address, which is no server name', async () => {
    const told: string[] = [];
    const server = createServer({
      key: readFileSync(join(dir, 'server.key')),
      cert: readFileSync(join(dir, 'server.pem')),
      SNICallback: (name, done) => {
        told.push(name);
        done(null);
      },
    });
    server.on('secureConnection', socket => socket.destroy());
    const { port } = await listen(server, { host: '127.0.0.1', port: 0 });
    const tls = await loadEtcdTls(FILES, join(dir, 'registry.yaml'));
    for (const [count, host] of ['127.0.0.1', 'localhost'].entries()) {
      const store = new EtcdStore([{ host, port }], tls);
      const asked = codeOf(store.snapshot('/'));
      await eventually('a hello', () => new Set(told).size > count);
      await store.close();
      await asked;
    }
    await closeServer(server);
    expect([...new Set(told)]).to.deep.equal(['etcd.isthmus.internal', 'localhost']);
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

describe('three members of etcd behind TLS keep the contract', function () {
  this.timeout(60_000);
  let dir: string;
  let processes: ProcessSet;
  let etcd: EtcdCluster;
  const opened = new Set<EtcdStore>();

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-etcd-tls-'));
    makeEtcdPki(dir);
    processes = new ProcessSet(dir);
    etcd = await EtcdCluster.start(processes, dir, {
      'cert-file': join(dir, 'server.pem'),
      'key-file': join(dir, 'server.key'),
      'trusted-ca-file': join(dir, 'ca.pem'),
    });
  });
  afterEach(async () => {
    for (const store of opened) await store.close();
    opened.clear();
  });
  after(async () => {
    await processes.stopAll();
    await rm(dir, { recursive: true });
  });

  const open = async (): Promise<EtcdStore> => {
    const tls = await loadEtcdTls(FILES, join(dir, 'registry.yaml'));
    const store = new EtcdStore(
      etcd.members.map(({ client }) => client),
      tls,
    );
    opened.add(store);
    return store;
  };

  storeContract(async () => ({
    store: await open(),
    compact: () => etcd.compact(),
    crash: async () => {
      await etcd.kill(...etcd.members);
      await etcd.restart(...etcd.members);
      await etcd.leader();
      return open();
    },
  }));
});
