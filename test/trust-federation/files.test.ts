/** Keys and certificates at rest: private, whole, and believed only if they belong together. */

import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ErrorCode, isMeshError, type MeshError } from '../../src/mesh/errors.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { memberId, parseTrustDomain, registryId } from '../../src/mesh/spiffe-id.ts';
import {
  AUTHORITY_FILE,
  createRoot,
  loadRoot,
} from '../../src/trust-federation/authority/authority-file.ts';
import {
  CLUSTERSET_ROOT_FILE,
  initClusterSet,
  loadMemberCredentials,
} from '../../src/trust-federation/authority/clusterset-authority.ts';
import { loadRoots, saveRoots } from '../../src/trust-federation/authority/root-file.ts';
import {
  generateSvidKey,
  IDENTITY_FILE,
  loadSvid,
  saveSvid,
} from '../../src/trust-federation/identity/svid.ts';
import { anyMember } from '../../src/trust-federation/peers/authorizer.ts';
import { verifyPeer } from '../../src/trust-federation/peers/verify.ts';
import { certificatesPem, formatKeyFile, keyPem } from '../../src/trust-federation/x509/pem.ts';
import { NOW, testAuthority, testSvid } from './pki.ts';

const A = testAuthority('a.example');

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-trust-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function refusalOf(work: Promise<unknown>, code: ErrorCode): Promise<string> {
  const error: unknown = await work.then(
    () => 'no error',
    (cause: unknown) => cause,
  );
  expect(isMeshError(error, code), String(error)).to.equal(true);
  return (error as MeshError).message;
}

describe('identity.pem', () => {
  const path = (): string => join(dir, IDENTITY_FILE);

  it('gives back the SVID that was saved', async () => {
    const svid = testSvid(A);
    await saveSvid(dir, svid);
    const loaded = await loadSvid(dir);
    expect(loaded).to.deep.include({ id: svid.id, chain: svid.chain, notAfterMs: svid.notAfterMs });
    expect(loaded?.key.equals(svid.key)).to.equal(true);
    expect((await stat(path())).mode & 0o777).to.equal(0o600);
  });

  it('that was never written is no SVID', async () => {
    expect(await loadSvid(join(dir, 'new'))).to.equal(undefined);
    expect((await stat(join(dir, 'new'))).mode & 0o777).to.equal(0o700);
  });

  it('that others can read is refused, and so is its directory', async () => {
    await saveSvid(dir, testSvid(A));
    await chmod(path(), 0o640);
    const message = await refusalOf(loadSvid(dir), 'FILE_PERMISSIONS');
    expect(message).to.include(path()).and.include('0640').and.include('chmod');
    await chmod(path(), 0o600);
    await chmod(dir, 0o755);
    expect(await refusalOf(loadSvid(dir), 'FILE_PERMISSIONS')).to.include('0755');
    await chmod(dir, 0o700);
    expect(await loadSvid(dir)).to.have.property('id');
  });

  it('that cannot be read is named', async () => {
    await mkdir(path(), { mode: 0o700 });
    expect(await refusalOf(loadSvid(dir), 'FILE_UNREADABLE')).to.include(path());
  });

  it('that an editor of another system has saved loads', async () => {
    const svid = testSvid(A);
    const content = formatKeyFile(svid.key, svid.chain).replaceAll('\n', '\r\n');
    await writeFile(path(), `web's identity\r\n\r\n${content}\r\n\r\n`, { mode: 0o600 });
    expect(await loadSvid(dir)).to.deep.include({ id: svid.id, chain: svid.chain });
  });

  it('is private whatever the umask of the process, and replaced as a whole', async () => {
    const before = process.umask(0);
    try {
      const inner = join(dir, 'open', 'identity');
      await saveSvid(inner, testSvid(A));
      await saveSvid(inner, testSvid(A));
      expect((await stat(join(inner, IDENTITY_FILE))).mode & 0o777).to.equal(0o600);
      for (const each of [inner, join(dir, 'open')]) {
        expect((await stat(each)).mode & 0o777).to.equal(0o700);
      }
      expect(await readdir(inner)).to.deep.equal([IDENTITY_FILE]);
    } finally {
      process.umask(before);
    }
  });

  const svid = testSvid(A);
  const corrupt: readonly [title: string, content: string][] = [
    ['is empty', ''],
    ['is junk', 'junk'],
    ['has a key alone', keyPem(svid.key)],
    ['has a chain alone', certificatesPem(svid.chain)],
    ['has two keys', keyPem(svid.key) + formatKeyFile(svid.key, svid.chain)],
    ['has a key of another certificate', formatKeyFile(generateSvidKey(), svid.chain)],
    ['has a CA for a leaf', formatKeyFile(A.root.key, [A.root.certificate.der])],
    ['is cut short', formatKeyFile(svid.key, svid.chain.slice(0, 1)).slice(0, -40)],
    ['has bytes changed', formatKeyFile(svid.key, svid.chain).replaceAll('MI', 'MJ')],
  ];
  for (const [title, content] of corrupt) {
    it(`that ${title} is refused by its path`, async () => {
      await writeFile(path(), content, { mode: 0o600 });
      expect(await refusalOf(loadSvid(dir), 'CERTIFICATE_INVALID')).to.include(path());
      await saveSvid(dir, svid);
      expect(await loadSvid(dir)).to.include({ id: svid.id });
    });
  }
});

describe('root files', () => {
  it('give back the bundle of their trust domain', async () => {
    const path = join(dir, 'trust-root.pem');
    await saveRoots(path, A.bundle);
    expect(await loadRoots(path)).to.deep.equal(A.bundle);
  });

  it('that are missing, of two trust domains or no roots are refused by their path', async () => {
    const path = join(dir, 'trust-root.pem');
    expect(await refusalOf(loadRoots(path), 'FILE_UNREADABLE')).to.include(path);
    const B = testAuthority('b.example');
    for (const roots of [
      [...A.bundle.x509Authorities, ...B.bundle.x509Authorities],
      [testSvid(A).chain[0]!],
      [],
    ]) {
      await writeFile(path, certificatesPem(roots), { mode: 0o600 });
      expect(await refusalOf(loadRoots(path), 'CERTIFICATE_INVALID')).to.include(path);
    }
  });
});

describe('authority.pem', () => {
  const subject = { name: 'east', trustDomain: parseTrustDomain('east.example') };

  it('holds the root it was made with', async () => {
    expect(await loadRoot(dir)).to.equal(undefined);
    const made = await createRoot(dir, subject, NOW);
    const loaded = await loadRoot(dir);
    expect(loaded?.certificate.der).to.deep.equal(made.certificate.der);
    expect(loaded?.key.equals(made.key)).to.equal(true);
  });

  it('that is half there, or of two halves, never loads', async () => {
    const { certificate } = await createRoot(dir, subject, NOW);
    const path = join(dir, AUTHORITY_FILE);
    const whole = await readFile(path);
    for (const content of [
      whole.subarray(0, whole.length / 2),
      formatKeyFile(generateSvidKey(), [certificate.der]),
    ]) {
      await writeFile(path, content);
      expect(await refusalOf(loadRoot(dir), 'CERTIFICATE_INVALID')).to.include(path);
    }
    await writeFile(path, whole);
    expect(await loadRoot(dir)).to.have.property('certificate');
  });
});

describe('initClusterSet', () => {
  const trustDomain = parseTrustDomain('clusterset.example');
  const init = (...clusters: string[]): ReturnType<typeof initClusterSet> =>
    initClusterSet({ dir, trustDomain, clusters: clusters.map(parseClusterName), now: () => NOW });
  const membership = (cluster: string): string => join(dir, 'clusters', cluster, 'membership');

  it('vouches for the registry and each member cluster', async () => {
    const { bundle } = await init('east', 'west');
    const registry = await loadMemberCredentials(join(dir, 'registry', 'identity'));
    expect(registry.svid.id).to.equal(registryId(trustDomain));
    for (const cluster of ['east', 'west']) {
      const { svid, roots } = await loadMemberCredentials(membership(cluster));
      expect(svid.id).to.equal(memberId(trustDomain, parseClusterName(cluster)));
      expect(roots).to.deep.equal(bundle);
      const bundles = new Map([[trustDomain, roots]]);
      expect(verifyPeer(svid.chain, bundles, anyMember(trustDomain), NOW)).to.include({
        kind: 'accepted',
      });
    }
  });

  it('run again adds clusters under the same root', async () => {
    const { bundle } = await init('east');
    expect((await init('west')).bundle).to.deep.equal(bundle);
    expect((await loadMemberCredentials(membership('east'))).roots).to.deep.equal(bundle);
    expect((await loadMemberCredentials(membership('west'))).roots).to.deep.equal(bundle);
  });

  it('does not mix two ClusterSets', async () => {
    await init('east');
    const other = { dir, trustDomain: parseTrustDomain('other.example'), clusters: [] };
    const message = await refusalOf(
      initClusterSet({ ...other, now: () => NOW }),
      'CERTIFICATE_INVALID',
    );
    expect(message).to.include('clusterset.example').and.include('other.example');
    await saveRoots(join(membership('east'), CLUSTERSET_ROOT_FILE), A.bundle);
    await refusalOf(loadMemberCredentials(membership('east')), 'CERTIFICATE_INVALID');
  });

  it('is what a member without credentials is told to run', async () => {
    const message = await refusalOf(loadMemberCredentials(dir), 'FILE_UNREADABLE');
    expect(message).to.include(dir).and.include('isthmus init');
  });
});
