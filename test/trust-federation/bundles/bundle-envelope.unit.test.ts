/** Envelopes with real keys: what each signature proves, and what it must not. */

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseClusterName } from '../../../src/mesh/names.ts';
import type { SignedBundle } from '../../../src/mesh/signed-bundle.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import {
  envelopeProofs,
  signEnvelope,
} from '../../../src/trust-federation/bundles/bundle-envelope.ts';
import {
  isSignedWith,
  type StatementSigner,
  signStatement,
} from '../../../src/trust-federation/bundles/statement-signature.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import {
  formatSigned,
  parseSigned,
  parseSignedBundle,
} from '../../../src/wire/signed-statement.ts';
import {
  CA_EXTENSIONS,
  DAY_MS,
  forgeSigner,
  NOW,
  names,
  testAuthority,
  testSvid,
  uriConstraints,
} from '../pki.ts';

const SET = testAuthority('clusterset.example');
const WEST = testAuthority('west.example');
const OTHER = testAuthority('west.example');
const MEMBER = testSvid(SET, 'cluster/west');

function envelope(
  signers: readonly StatementSigner[],
  bundle: TrustBundle = WEST.bundle,
  cluster = 'west',
): SignedBundle {
  const subject = { clusterSet: SET.trustDomain, cluster: parseClusterName(cluster), bundle };
  const signed = signEnvelope(subject, signers);
  const read = parseSignedBundle(formatSigned(signed));
  expect(read).to.deep.equal(signed);
  return read;
}

function signerAt({ root }: typeof WEST): StatementSigner {
  return { key: root.key, chain: [root.certificate.der] };
}

function proofsAt(nowMs = NOW, roots = SET.bundle): ReturnType<typeof envelopeProofs> {
  return envelopeProofs(new Map([[roots.trustDomain, roots]]), () => nowMs);
}

describe("a member's signature", () => {
  const problemOf = (signed: SignedBundle, nowMs = NOW): string | undefined =>
    proofsAt(nowMs).memberProblem(signed);

  it('vouches for the bundle of its own cluster', () => {
    expect(problemOf(envelope([MEMBER]))).to.equal(undefined);
    expect(problemOf(envelope([signerAt(WEST), MEMBER]))).to.equal(undefined);
  });

  it('vouches for no other cluster', () => {
    expect(problemOf(envelope([MEMBER], WEST.bundle, 'eu'))).to.match(/cluster\/west/);
    expect(problemOf(envelope([testSvid(SET, 'cluster/west2')]))).to.match(/cluster\/west2/);
    expect(problemOf(envelope([testSvid(SET, 'registry')]))).to.match(/registry/);
    expect(problemOf(envelope([testSvid(SET, 'ns/cluster/sa/west')]))).to.match(/sa\/west/);
  });

  it('is none when no member signed, or one of another ClusterSet', () => {
    expect(problemOf(envelope([]))).to.match(/no signature of a member/);
    expect(problemOf(envelope([signerAt(WEST)]))).to.match(/no signature of a member/);
    const impostor = testSvid(testAuthority('clusterset.example'), 'cluster/west');
    expect(problemOf(envelope([impostor]))).to.match(/no root of trust domain/);
  });

  it('ends with its certificate, and with its revocation', () => {
    expect(problemOf(envelope([MEMBER]), NOW + DAY_MS)).to.match(/expired/);
    const revoking = { ...SET.bundle, revoked: [MEMBER.id] };
    expect(proofsAt(NOW, revoking).memberProblem(envelope([MEMBER]))).to.match(/revoked/);
  });

  it('is over exactly these bytes: neither a changed statement nor a borrowed signature counts', () => {
    const honest = envelope([MEMBER]);
    const foreign = envelope([MEMBER], OTHER.bundle);
    const swapped = { ...foreign, signatures: honest.signatures };
    expect(problemOf(swapped)).to.match(/not over this statement/);
    const bytes = Buffer.from(formatSigned(honest));
    const at = bytes.indexOf('spiffe_sequence');
    bytes[at + 'spiffe_sequence":'.length] = '9'.charCodeAt(0);
    expect(problemOf(parseSignedBundle(bytes))).to.match(/not over this statement/);
  });

  it('is read from the statement alone, whatever else travels along', () => {
    const signed = envelope([MEMBER]);
    const claimed = { ...signed, bundle: OTHER.bundle, cluster: parseClusterName('eu') };
    expect(parseSignedBundle(formatSigned(claimed))).to.deep.equal(signed);
  });
});

describe("a root's signature", () => {
  const succeeds = (signed: SignedBundle, version: TrustBundle, nowMs = NOW): boolean =>
    proofsAt(nowMs).signedByRootOf(signed, version);
  const next = { ...OTHER.bundle, sequence: WEST.bundle.sequence + 1 };

  it('lets the version follow the one the root stands in, and no other', () => {
    expect(succeeds(envelope([signerAt(WEST)], next), WEST.bundle)).to.equal(true);
    expect(succeeds(envelope([signerAt(OTHER), signerAt(WEST)], next), WEST.bundle)).to.equal(true);
    expect(succeeds(envelope([signerAt(OTHER)], next), WEST.bundle)).to.equal(false);
    expect(succeeds(envelope([MEMBER], next), WEST.bundle)).to.equal(false);
    expect(succeeds(envelope([], next), WEST.bundle)).to.equal(false);
  });

  it("needs the root's key, not its certificate", () => {
    const thief = { key: generateSvidKey(), chain: [WEST.root.certificate.der] };
    expect(succeeds(envelope([thief], next), WEST.bundle)).to.equal(false);
  });

  it('counts after the root has expired, or an expired root could not be replaced', () => {
    const late = NOW + 11 * 365 * DAY_MS;
    expect(succeeds(envelope([signerAt(WEST)], next), WEST.bundle, late)).to.equal(true);
  });

  it('may come from a CA that the root made for the same trust domain', () => {
    const { certificate, key } = WEST.intermediate;
    const acting = envelope([{ key, chain: [certificate.der] }], next);
    expect(succeeds(acting, WEST.bundle)).to.equal(true);
    expect(succeeds(acting, OTHER.bundle)).to.equal(false);
    expect(succeeds(acting, WEST.bundle, NOW + 366 * DAY_MS)).to.equal(false);
  });

  it('does not come from a CA that a shared root made for another trust domain', () => {
    const shared = WEST.root;
    const ca = (uri: string, permitted: readonly string[]): StatementSigner => {
      const extensions = [...CA_EXTENSIONS, names([6, uri]), uriConstraints(permitted, [])];
      const signer = forgeSigner({ signer: shared, commonName: 'ca', extensions });
      return { key: signer.key, chain: [signer.certificate.der] };
    };
    const by = (signer: StatementSigner): boolean =>
      succeeds(envelope([signer], next), WEST.bundle);
    expect(by(ca('spiffe://west.example', ['west.example']))).to.equal(true);
    expect(by(ca('spiffe://east.example', ['east.example']))).to.equal(false);
    expect(by(ca('spiffe://west.example', ['east.example']))).to.equal(false);
    expect(by(ca('spiffe://west.example', ['west.example', 'east.example']))).to.equal(false);
  });

  it('does not come from a leaf', () => {
    const leaf = testSvid(WEST);
    expect(succeeds(envelope([leaf], next), WEST.bundle)).to.equal(false);
    const alone = { ...leaf, chain: leaf.chain.slice(0, 1) };
    expect(succeeds(envelope([alone], next), WEST.bundle)).to.equal(false);
  });
});

describe('statement signatures', () => {
  const statement = Buffer.from('a statement');
  const pairs: readonly [name: string, key: KeyObject][] = [
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['RSA 2048', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
  ];
  for (const [name, key] of pairs) {
    it(`are made and checked with ${name}`, () => {
      const { signatures } = signStatement('bundle', statement, [{ key, chain: [] }]);
      const { signature } = signatures[0]!;
      const publicKey = createPublicKey(key);
      expect(isSignedWith('bundle', statement, signature, publicKey)).to.equal(true);
      expect(isSignedWith('bundle', Buffer.from('another'), signature, publicKey)).to.equal(false);
      expect(isSignedWith('cluster-revocation', statement, signature, publicKey)).to.equal(false);
      expect(isSignedWith('bundle', statement, Buffer.from('junk'), publicKey)).to.equal(false);
    });
  }

  it('are not what the same key signed as something else', () => {
    const [, key] = pairs[0]!;
    const bare = sign('sha256', statement, key);
    expect(isSignedWith('bundle', statement, bare, createPublicKey(key))).to.equal(false);
  });

  it('are neither made nor believed with keys that are weak or of other kinds', () => {
    for (const { privateKey, publicKey } of [
      generateKeyPairSync('rsa', { modulusLength: 1024 }),
      generateKeyPairSync('ed25519'),
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    ]) {
      expect(() => signStatement('bundle', statement, [{ key: privateKey, chain: [] }])).to.throw();
      expect(isSignedWith('bundle', statement, Buffer.alloc(64), publicKey)).to.equal(false);
    }
  });

  it('in number or length beyond what a cluster needs are not read', () => {
    const signature = { chain: [Buffer.of(1)], signature: Buffer.of(2) };
    const of = (count: number, certificates: number): Uint8Array =>
      formatSigned({
        statement,
        signatures: Array.from({ length: count }, () => ({
          ...signature,
          chain: Array.from({ length: certificates }, () => Buffer.of(1)),
        })),
      });
    expect(parseSigned(of(16, 5)).signatures).to.have.length(16);
    expect(() => parseSigned(of(17, 1))).to.throw(/at most 16 of 5/);
    expect(() => parseSigned(of(1, 6))).to.throw(/at most 16 of 5/);
  });
});
