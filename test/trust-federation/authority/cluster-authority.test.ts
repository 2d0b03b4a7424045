/** A cluster's authority: what it signs, how long, and that others read it as we do. */

import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { parseClusterName } from '../../../src/mesh/names.ts';
import { parseTrustDomain, requireSpiffeId, type SpiffeId } from '../../../src/mesh/spiffe-id.ts';
import type { ClusterAuthority } from '../../../src/trust-federation/authority/cluster-authority.ts';
import { openClusterAuthority } from '../../../src/trust-federation/authority/open-authority.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import { WORKLOAD_TTL_MS_MAX } from '../../../src/trust-federation/limits.ts';
import { anyIdentity } from '../../../src/trust-federation/peers/authorizer.ts';
import { verifyPeer } from '../../../src/trust-federation/peers/verify.ts';
import { INTERMEDIATE_TTL_MS, issueLeaf } from '../../../src/trust-federation/x509/certificate.ts';
import { parseCertificate } from '../../../src/trust-federation/x509/parsed-certificate.ts';
import { certificatesPem } from '../../../src/trust-federation/x509/pem.ts';
import { HOUR_MS, testAuthority } from '../pki.ts';

const run = promisify(execFile);
const trustDomain = parseTrustDomain('east.example');
const ID = requireSpiffeId('spiffe://east.example/ns/shop/sa/cart');
const KEY = createPublicKey(generateSvidKey());
const START = Date.now();

describe('a cluster authority', () => {
  let dir: string;
  let now: number;
  beforeEach(async () => {
    now = START;
    dir = await mkdtemp(join(tmpdir(), 'isthmus-authority-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const open = (): Promise<ClusterAuthority> =>
    openClusterAuthority({
      dir,
      cluster: parseClusterName('east'),
      trustDomain,
      now: () => now,
    });
  const issue = (authority: ClusterAuthority, id: SpiffeId = ID, ttlMs = HOUR_MS) =>
    authority.issue({ publicKey: KEY, id, ttlMs }).chain;

  it('keeps its root over restarts, and leaves of an earlier process stay good', async () => {
    const first = await open();
    const chain = issue(first);
    const second = await open();
    expect(second.bundle()).to.deep.equal(first.bundle());
    const bundles = new Map([[trustDomain, second.bundle()]]);
    for (const each of [chain, issue(second)]) {
      const verdict = verifyPeer(each, bundles, anyIdentity, now);
      expect(verdict).to.include({ kind: 'accepted', id: ID });
    }
  });

  it('signs for its own trust domain alone', async () => {
    const authority = await open();
    for (const id of ['spiffe://west.example/ns/shop/sa/cart', 'spiffe://east.example.evil/x']) {
      expect(() => issue(authority, requireSpiffeId(id)))
        .to.throw(/east\.example/)
        .that.satisfies((error: unknown) => isMeshError(error, 'CSR_REFUSED'));
    }
    expect(issue(authority)).to.have.length(2);
  });

  it('signs for a day at most', async () => {
    const authority = await open();
    expect(() => issue(authority, ID, WORKLOAD_TTL_MS_MAX + 1)).to.throw(RangeError);
    expect(() => issue(authority, ID, 0)).to.throw(RangeError);
    const leaf = parseCertificate(issue(authority, ID, WORKLOAD_TTL_MS_MAX)[0]);
    const second = Math.floor(START / 1000) * 1000;
    expect(leaf.notAfterMs).to.equal(second + WORKLOAD_TTL_MS_MAX);
    expect(leaf.notBeforeMs).to.equal(second - 60_000);
  });

  it('takes a new intermediate at half the life of the old one', async () => {
    const authority = await open();
    const [, before] = issue(authority);
    now += INTERMEDIATE_TTL_MS / 2 - 2 * 24 * HOUR_MS;
    await authority.refreshIntermediate();
    expect(issue(authority)[1]).to.deep.equal(before);
    now += 4 * 24 * HOUR_MS;
    await authority.refreshIntermediate();
    const chain = issue(authority);
    expect(chain[1]).not.to.deep.equal(before);
    const bundles = new Map([[trustDomain, authority.bundle()]]);
    expect(verifyPeer(chain, bundles, anyIdentity, now)).to.include({ kind: 'accepted' });
  });

  it('refuses to open the root of another trust domain', async () => {
    await open();
    const other = { dir, cluster: parseClusterName('east'), now: () => now };
    const error: unknown = await openClusterAuthority({
      ...other,
      trustDomain: parseTrustDomain('west.example'),
    }).catch((cause: unknown) => cause);
    expect(isMeshError(error, 'CERTIFICATE_INVALID'), String(error)).to.equal(true);
    expect(String(error)).to.include('east.example').and.include('west.example');
  });

  it('gives a new serial number each time, positive and 16 bytes long', async () => {
    const authority = await open();
    const serials = Array.from(
      { length: 20 },
      () => parseCertificate(issue(authority)[0]).x509.serialNumber,
    );
    expect(new Set(serials).size).to.equal(20);
    for (const serial of serials) expect(serial).to.match(/^[4-7][0-9A-F]{31}$/);
  });

  describe('in the eyes of openssl verify -x509_strict', () => {
    before(async function () {
      await run('openssl', ['version']).catch(() => this.skip());
    });

    async function verdict(chain: readonly Buffer[], root: Uint8Array): Promise<string> {
      const file = async (name: string, ...certificates: Uint8Array[]): Promise<string> => {
        const path = join(dir, name);
        await writeFile(path, certificatesPem(certificates));
        return path;
      };
      const [leaf, ...intermediates] = chain;
      const untrusted = await file('untrusted.pem', ...intermediates);
      const parameters = ['-CAfile', await file('root.pem', root), '-untrusted', untrusted];
      return run('openssl', [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        ...parameters,
        await file('leaf.pem', leaf!),
      ]).then(
        ({ stdout }) => stdout,
        (error: unknown) => (error as { stderr: string }).stderr,
      );
    }

    it('its chains are good', async () => {
      const authority = await open();
      const [root] = authority.bundle().x509Authorities;
      expect(await verdict(issue(authority), root!)).to.match(/leaf\.pem: OK/);
    });

    it('its intermediate cannot sign for another trust domain, whoever holds its key', async () => {
      const { root, intermediate } = testAuthority('east.example', now);
      const leafOf = (id: string): Buffer[] => [
        issueLeaf({ publicKey: KEY, id: requireSpiffeId(id), ttlMs: HOUR_MS }, intermediate, now),
        intermediate.certificate.der,
      ];
      const { der } = root.certificate;
      expect(await verdict(leafOf('spiffe://west.example/x'), der)).to.match(/permitted subtree/);
      expect(await verdict(leafOf('spiffe://east.example/x'), der)).to.match(/leaf\.pem: OK/);
    });
  });
});
