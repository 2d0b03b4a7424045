/** Roots of other PKIs: read from files as openssl writes them, judged, signed with, and written for others. */

import { spawnSync } from 'node:child_process';
import { createPublicKey, randomUUID, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import { type ImportFiles, rootMaterialIn } from '../../src/cli/imported-files.ts';
import { formatTrustStore } from '../../src/cli/trust-store.ts';
import { isMeshError } from '../../src/mesh/errors.ts';
import type { ClusterName } from '../../src/mesh/names.ts';
import { requireSpiffeId, type TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { certificateId } from '../../src/trust-federation/authority/authority-journal.ts';
import type { ClusterAuthority } from '../../src/trust-federation/authority/cluster-authority.ts';
import { importedRoot } from '../../src/trust-federation/authority/imported-root.ts';
import { installRoot } from '../../src/trust-federation/authority/install-root.ts';
import { openClusterAuthority } from '../../src/trust-federation/authority/open-authority.ts';
import { generateSvidKey } from '../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { verifyPeer } from '../../src/trust-federation/peers/verify.ts';
import {
  issueIntermediate,
  issueLeaf,
  signerOf,
} from '../../src/trust-federation/x509/certificate.ts';
import { certificatesPem } from '../../src/trust-federation/x509/pem.ts';
import { CA, makeCa, openssl, ownOf } from '../trust-federation/openssl-pki.ts';

const EAST = 'east.example' as TrustDomain;
const WEST = 'west.example' as TrustDomain;
const NAMED = [...CA, `subjectAltName=URI:spiffe://${EAST}`];

describe('a root from elsewhere', function () {
  this.timeout(30_000);
  let dir: string;
  const at = (file: string): string => join(dir, file);
  const password = 'correct horse';

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'isthmus-import-'));
    writeFileSync(at('password'), `${password}\n`);
    writeFileSync(at('wrong-password'), 'battery staple');
    makeCa(dir, { name: 'ec', extensions: NAMED });
    makeCa(dir, { name: 'p384', algorithm: 'P-384', extensions: CA });
    makeCa(dir, { name: 'rsa', algorithm: 'rsa:2048', extensions: CA });
    makeCa(dir, { name: 'weak', algorithm: 'rsa:1024', extensions: CA });
    makeCa(dir, { name: 'west-root', extensions: [...CA, `subjectAltName=URI:spiffe://${WEST}`] });
    makeCa(dir, { name: 'no-ca', extensions: ['basicConstraints=critical,CA:FALSE'] });
    makeCa(dir, {
      name: 'flat',
      extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign'],
    });
    makeCa(dir, {
      name: 'elsewhere',
      extensions: [...CA, 'nameConstraints=critical,permitted;URI:other.example'],
    });
    makeCa(dir, { name: 'corporate', algorithm: 'rsa:2048', extensions: CA });
    for (const [name, trustDomain] of [
      ['east-ca', EAST],
      ['west-ca', WEST],
    ] as const) {
      makeCa(dir, { name, issuer: 'corporate', extensions: ownOf(trustDomain) });
    }
    const free = ownOf(EAST).filter(line => !line.startsWith('nameConstraints'));
    makeCa(dir, { name: 'unconstrained', issuer: 'corporate', extensions: free });
    const nameless = free.filter(line => !line.startsWith('subjectAltName'));
    makeCa(dir, { name: 'vpn-ca', issuer: 'corporate', extensions: nameless });
    openssl(
      dir,
      'pkcs8',
      '-topk8',
      '-in',
      'rsa.key',
      '-out',
      'rsa.enc.key',
      '-v2',
      'aes-256-cbc',
      '-passout',
      `pass:${password}`,
    );
    openssl(
      dir,
      'ec',
      '-in',
      'ec.key',
      '-out',
      'ec.old.key',
      '-aes256',
      '-passout',
      `pass:${password}`,
    );
    openssl(
      dir,
      'rsa',
      '-in',
      'rsa.key',
      '-out',
      'rsa.old.key',
      '-traditional',
      '-aes128',
      '-passout',
      `pass:${password}`,
    );
    for (const name of ['ec', 'rsa']) {
      openssl(
        dir,
        'pkcs12',
        '-export',
        '-in',
        `${name}.crt`,
        '-inkey',
        `${name}.key`,
        '-out',
        `${name}.p12`,
        '-passout',
        `pass:${password}`,
      );
    }
    openssl(
      dir,
      'pkcs12',
      '-export',
      '-in',
      'east-ca.crt',
      '-inkey',
      'east-ca.key',
      '-certfile',
      'corporate.crt',
      '-out',
      'east-ca.p12',
      '-passout',
      `pass:${password}`,
    );
    const pem = readFileSync(at('ec.crt'), 'latin1');
    writeFileSync(
      at('crlf.crt'),
      `\ufeffsome words before\r\n${pem.replaceAll('\n', '\r\n')}\r\n\r\n`,
    );
    writeFileSync(at('both.pem'), pem + readFileSync(at('ec.key'), 'latin1'));
    writeFileSync(at('garbage'), Buffer.alloc(300, 7));
  });
  after(() => rm(dir, { recursive: true }));

  const load = (files: ImportFiles, trustDomain = EAST) => {
    const named = Object.fromEntries(
      Object.entries(files).map(([name, file]) => [name, at(String(file))]),
    );
    return importedRoot(rootMaterialIn(named), trustDomain, Date.now());
  };
  const codeOf = (files: ImportFiles, trustDomain = EAST): string => {
    try {
      load(files, trustDomain);
      return 'ok';
    } catch (error) {
      if (isMeshError(error)) return error.code;
      throw error;
    }
  };
  const passwordFile = 'password';

  /** An authority that has it from its first start. */
  const authorityOf = async (files: ImportFiles, trustDomain = EAST): Promise<ClusterAuthority> => {
    const stateDir = join(dir, randomUUID(), 'authority');
    await installRoot(stateDir, load(files, trustDomain), Date.now());
    expect((await stat(join(stateDir, 'journal'))).mode & 0o777).to.equal(0o600);
    const open = () =>
      openClusterAuthority({
        dir: stateDir,
        cluster: 'east' as ClusterName,
        trustDomain,
        now: Date.now,
      });
    await open();
    return open();
  };
  const leafOf = (authority: ClusterAuthority, trustDomain = EAST) => {
    const id = requireSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/web`);
    const publicKey = createPublicKey(generateSvidKey());
    return authority.issue({ publicKey, id, ttlMs: 60_000 }).chain;
  };
  const opensslAccepts = (roots: readonly Uint8Array[], chain: readonly Uint8Array[]): boolean => {
    const [leaf = new Uint8Array(), ...above] = chain;
    const name = randomUUID();
    writeFileSync(at(`${name}.roots`), certificatesPem(roots));
    writeFileSync(at(`${name}.above`), certificatesPem(above));
    writeFileSync(at(`${name}.leaf`), certificatesPem([leaf]));
    try {
      openssl(
        dir,
        'verify',
        '-x509_strict',
        '-CAfile',
        `${name}.roots`,
        '-untrusted',
        `${name}.above`,
        `${name}.leaf`,
      );
      return true;
    } catch {
      return false;
    }
  };

  const good: readonly (readonly [what: string, files: ImportFiles])[] = [
    ['ECDSA, PEM, key in a file of its own', { root: 'ec.crt', key: 'ec.key' }],
    ['ECDSA, certificate and key in one file', { root: 'both.pem' }],
    [
      'ECDSA, its key encrypted in the traditional form',
      { root: 'ec.crt', key: 'ec.old.key', passwordFile },
    ],
    ['ECDSA, PKCS#12', { root: 'ec.p12', passwordFile }],
    ['ECDSA, line ends and words of another system', { root: 'crlf.crt', key: 'ec.key' }],
    ['ECDSA P-384 without a name', { root: 'p384.crt', key: 'p384.key' }],
    ['RSA without a name, PEM', { root: 'rsa.crt', key: 'rsa.key' }],
    ['RSA, its key as encrypted PKCS#8', { root: 'rsa.crt', key: 'rsa.enc.key', passwordFile }],
    [
      'RSA, its key encrypted in the traditional form',
      { root: 'rsa.crt', key: 'rsa.old.key', passwordFile },
    ],
    ['RSA, PKCS#12', { root: 'rsa.p12', passwordFile }],
    [
      'a CA of its own under a shared RSA root',
      { root: 'corporate.crt', intermediate: 'east-ca.crt', key: 'east-ca.key' },
    ],
    [
      'a CA under a shared root, both in one PKCS#12',
      { intermediate: 'east-ca.p12', passwordFile },
    ],
  ];
  for (const [what, files] of good) {
    it(`signs SVIDs that the mesh and OpenSSL accept: ${what}`, async () => {
      const authority = await authorityOf(files);
      const chain = leafOf(authority);
      const bundle = authority.bundle();
      expect(bundle.trustDomain).to.equal(EAST);
      const bundles = new Map([[EAST, bundle]]);
      expect(verifyPeer(chain, bundles, anyIdentity, Date.now()).kind).to.equal('accepted');
      expect(opensslAccepts(bundle.x509Authorities, chain)).to.equal(true);
    });
  }

  const bad: readonly (readonly [what: string, files: ImportFiles, code?: string])[] = [
    ['with another certificate’s key', { root: 'ec.crt', key: 'p384.key' }],
    ['without its key', { root: 'ec.crt' }],
    [
      'with the wrong password',
      { root: 'rsa.crt', key: 'rsa.enc.key', passwordFile: 'wrong-password' },
    ],
    ['without the password', { root: 'rsa.crt', key: 'rsa.enc.key' }],
    ['as PKCS#12 with the wrong password', { root: 'ec.p12', passwordFile: 'wrong-password' }],
    ['that is no CA', { root: 'no-ca.crt', key: 'no-ca.key' }],
    ['with a weak key', { root: 'weak.crt', key: 'weak.key' }],
    ['that allows no CA below it', { root: 'flat.crt', key: 'flat.key' }],
    ['of another trust domain', { root: 'west-root.crt', key: 'west-root.key' }],
    ['constrained to other names', { root: 'elsewhere.crt', key: 'elsewhere.key' }],
    ['that is not self-signed', { root: 'east-ca.crt', key: 'east-ca.key' }],
    ['that is garbage', { root: 'garbage' }],
    ['that is not there', { root: 'missing' }, 'FILE_UNREADABLE'],
    [
      'with an intermediate of another root',
      { root: 'ec.crt', intermediate: 'east-ca.crt', key: 'east-ca.key' },
    ],
    [
      'with an intermediate of another trust domain',
      { root: 'corporate.crt', intermediate: 'west-ca.crt', key: 'west-ca.key' },
    ],
    [
      'with an intermediate that is not constrained',
      { root: 'corporate.crt', intermediate: 'unconstrained.crt', key: 'unconstrained.key' },
    ],
    [
      'with an intermediate that has no name',
      { root: 'corporate.crt', intermediate: 'vpn-ca.crt', key: 'vpn-ca.key' },
    ],
  ];
  for (const [what, files, code = 'CERTIFICATE_INVALID'] of bad) {
    it(`is refused ${what}`, () => {
      expect(codeOf(files)).to.equal(code);
    });
  }

  it('is refused when it has expired', () => {
    const material = rootMaterialIn({ root: at('ec.crt'), key: at('ec.key') });
    const later = Date.now() + 400 * 86_400_000;
    expect(() => importedRoot(material, EAST, later)).to.throw(/expired/);
    expect(importedRoot(material, EAST, Date.now()).root.isCa).to.equal(true);
  });

  it('never replaces an authority that has run', async () => {
    const stateDir = join(dir, randomUUID());
    const imported = load({ root: 'ec.crt', key: 'ec.key' });
    await openClusterAuthority({
      dir: stateDir,
      cluster: 'east' as ClusterName,
      trustDomain: EAST,
      now: Date.now,
    });
    const outcome = await installRoot(stateDir, imported, Date.now()).catch(
      (error: unknown) => error,
    );
    expect(isMeshError(outcome, 'REQUEST_INVALID')).to.equal(true);
  });

  it('is rolled over to by an authority that has one already', async () => {
    const stateDir = join(dir, randomUUID());
    const authority = await openClusterAuthority({
      dir: stateDir,
      cluster: 'east' as ClusterName,
      trustDomain: EAST,
      now: Date.now,
    });
    const imported = load({
      root: 'corporate.crt',
      intermediate: 'east-ca.crt',
      key: 'east-ca.key',
    });
    await authority.startRollover(false, imported);
    const announced = authority.bundle();
    expect(announced.x509Authorities).to.have.length(2);
    const before = leafOf(authority);
    for (const forceReason of ['trusted', 'active']) {
      await authority.moveRollover({ kind: 'advance', unproven: 'nobody is there', forceReason });
    }
    const after = leafOf(authority);
    for (const chain of [before, after]) {
      expect(
        verifyPeer(chain, new Map([[EAST, announced]]), anyIdentity, Date.now()).kind,
      ).to.equal('accepted');
    }
    expect(new X509Certificate(after[2] ?? new Uint8Array()).subject).to.include('east-ca');
    const again = await authority.startRollover(false, imported).catch((error: unknown) => error);
    expect(isMeshError(again, 'REQUEST_INVALID')).to.equal(true);
  });

  it('in use takes another CA below it without a rollover, and what the first one signed stays good', async () => {
    makeCa(dir, { name: 'east-ca-2', issuer: 'corporate', extensions: ownOf(EAST) });
    const signedBy = (name: string) =>
      load({ root: 'corporate.crt', intermediate: `${name}.crt`, key: `${name}.key` });
    const authority = await authorityOf({
      root: 'corporate.crt',
      intermediate: 'east-ca.crt',
      key: 'east-ca.key',
    });
    const before = leafOf(authority);
    expect(authority.isAnotherSigner(signedBy('east-ca'))).to.equal(false);
    expect(authority.isAnotherSigner(load({ root: 'ec.crt', key: 'ec.key' }))).to.equal(false);
    const next = signedBy('east-ca-2');
    expect(authority.isAnotherSigner(next)).to.equal(true);
    await authority.replaceSigner(next);
    const after = leafOf(authority);
    expect(new X509Certificate(after[2] ?? new Uint8Array()).subject).to.include('east-ca-2');
    const bundles = new Map([[EAST, authority.bundle()]]);
    for (const chain of [before, after]) {
      expect(verifyPeer(chain, bundles, anyIdentity, Date.now()).kind).to.equal('accepted');
      expect(authority.isInStanding(certificateId(chain[1]))).to.equal(true);
    }
    expect(authority.state.rollover).to.equal(undefined);
  });

  describe('that several clusters share', () => {
    const shared = (name: string) =>
      load(
        { root: 'corporate.crt', intermediate: `${name}.crt`, key: `${name}.key` },
        name === 'east-ca' ? EAST : WEST,
      );
    const bundleFor = (trustDomain: TrustDomain) => ({
      trustDomain,
      sequence: 1,
      refreshHintSeconds: 300,
      x509Authorities: [shared('east-ca').root.der],
      jwtAuthorities: [],
      revoked: [],
    });
    const BUNDLES = () =>
      new Map([EAST, WEST].map(trustDomain => [trustDomain, bundleFor(trustDomain)]));
    const leafBy = (caName: string, trustDomain: TrustDomain, agent = true): Buffer[] => {
      const ca = signerOf(
        new X509Certificate(readFileSync(at(`${caName}.crt`))).raw,
        keyOf(caName),
      );
      const key = generateSvidKey();
      const subject = { name: 'x', trustDomain };
      const below = agent
        ? signerOf(issueIntermediate(subject, createPublicKey(key), ca, Date.now()), key)
        : ca;
      const id = requireSpiffeId(`spiffe://${trustDomain}/ns/shop/sa/web`);
      const publicKey = createPublicKey(generateSvidKey());
      const leaf = issueLeaf({ id, publicKey, ttlMs: 60_000 }, below, Date.now());
      return agent ? [leaf, below.certificate.der, ca.certificate.der] : [leaf, ca.certificate.der];
    };
    const keyOf = (name: string) =>
      rootMaterialIn({ root: at('corporate.crt'), key: at(`${name}.key`) }).key;
    const judge = (chain: Buffer[]) => verifyPeer(chain, BUNDLES(), anyIdentity, Date.now());

    it('lets each cluster’s CA sign for that cluster', () => {
      expect(judge(leafBy('east-ca', EAST)).kind).to.equal('accepted');
      expect(judge(leafBy('west-ca', WEST)).kind).to.equal('accepted');
      expect(judge(leafBy('east-ca', EAST, false)).kind).to.equal('accepted');
    });

    it('lets no cluster’s CA sign for another, as OpenSSL also finds', () => {
      for (const agent of [true, false]) {
        const chain = leafBy('west-ca', EAST, agent);
        expect(judge(chain)).to.include({ kind: 'refused', reason: 'name-constraints' });
        expect(
          opensslAccepts([bundleFor(EAST).x509Authorities[0] ?? new Uint8Array()], chain),
        ).to.equal(false);
      }
    });

    it('lets no CA without a trust domain of its own sign for one, though OpenSSL would', () => {
      const chain = leafBy('vpn-ca', EAST, false);
      expect(
        opensslAccepts([bundleFor(EAST).x509Authorities[0] ?? new Uint8Array()], chain),
      ).to.equal(true);
      expect(judge(chain)).to.include({ kind: 'refused', reason: 'name-constraints' });
    });

    it('lets no CA that is another trust domain’s by name sign, though OpenSSL would', () => {
      const chain = leafBy('unconstrained', WEST, false);
      expect(
        opensslAccepts([bundleFor(WEST).x509Authorities[0] ?? new Uint8Array()], chain),
      ).to.equal(true);
      expect(judge(chain)).to.include({ kind: 'refused', reason: 'name-constraints' });
      expect(judge(leafBy('unconstrained', EAST, false)).kind).to.equal('accepted');
    });
  });

  it('is written as a trust store that openssl reads with its password and no other', () => {
    const certificates = ['ec', 'rsa'].map(name => ({
      name: `east ${name}`,
      certificate: new X509Certificate(readFileSync(at(`${name}.crt`))).raw,
    }));
    writeFileSync(at('store.p12'), formatTrustStore(certificates, password));
    const read = (pass: string): string =>
      openssl(dir, 'pkcs12', '-in', 'store.p12', '-nokeys', '-passin', `pass:${pass}`);
    const text = read(password);
    expect(text.match(/BEGIN CERTIFICATE/g)).to.have.length(2);
    expect(text).to.include('friendlyName: east ec').and.to.include('2.16.840.1.113894.746875.1.1');
    for (const { certificate } of certificates) {
      expect(text.replaceAll(/\s/g, '')).to.include(certificate.toString('base64'));
    }
    expect(() => read('another')).to.throw();
    const keytool = ['-list', '-keystore', at('store.p12'), '-storepass', password];
    const listed = spawnSync('keytool', keytool, { encoding: 'utf8' });
    // Where there is a Java: it takes both for trusted certificates.
    if (listed.error === undefined) {
      expect(listed.stdout.match(/trustedCertEntry/g), listed.stdout).to.have.length(2);
    }
  });
});
