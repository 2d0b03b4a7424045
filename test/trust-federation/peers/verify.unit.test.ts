/** Every refusal of the one door, each beside the twin that may pass. */

import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import { parseClusterName } from '../../../src/mesh/names.ts';
import {
  memberId,
  registryId,
  type SpiffeId,
  type TrustDomain,
} from '../../../src/mesh/spiffe-id.ts';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import { generateSvidKey } from '../../../src/trust-federation/identity/svid.ts';
import {
  type Authorizer,
  anyIdentity,
  anyMember,
  exactly,
  inTrustDomain,
} from '../../../src/trust-federation/peers/authorizer.ts';
import {
  REFUSAL_REASONS,
  type RefusalReason,
} from '../../../src/trust-federation/peers/chain-rules.ts';
import { type PeerVerdict, verifyPeer } from '../../../src/trust-federation/peers/verify.ts';
import {
  issueLeaf,
  type Signer,
  signerOf,
} from '../../../src/trust-federation/x509/certificate.ts';
import {
  type Asn1,
  bitString,
  oid,
  sequence,
  tagged,
  taggedOf,
  utf8String,
} from '../../../src/trust-federation/x509/der.ts';
import { OID } from '../../../src/trust-federation/x509/oids.ts';
import {
  basicConstraints,
  CA_EXTENSIONS,
  CERT_SIGN,
  CRL_SIGN,
  DAY_MS,
  DIGITAL_SIGNATURE,
  extendedKeyUsage,
  extension,
  forgeCertificate,
  forgeSigner,
  HOUR_MS,
  idOf,
  keyUsage,
  LEAF_EXTENSIONS,
  NOW,
  names,
  testAuthority,
  testSvid,
  uriConstraints,
} from '../pki.ts';

const A = testAuthority('a.example');
const B = testAuthority('b.example');
const BUNDLES = bundles(A.bundle, B.bundle);
const ID = 'spiffe://a.example/ns/shop/sa/cart';
const KEY = generateSvidKey();

function bundles(...list: readonly TrustBundle[]): ReadonlyMap<TrustDomain, TrustBundle> {
  return new Map(list.map(bundle => [bundle.trustDomain, bundle]));
}

function verify(
  chain: readonly Uint8Array[],
  nowMs = NOW,
  authorize = anyIdentity,
  known = BUNDLES,
): PeerVerdict {
  const verdict = verifyPeer(chain, known, authorize, nowMs);
  if (verdict.kind === 'refused') provoked.add(verdict.reason);
  return verdict;
}
const provoked = new Set<RefusalReason>();

function accepts(...given: Parameters<typeof verify>): void {
  const verdict = verify(...given);
  expect(verdict.kind === 'refused' ? verdict.message : verdict.kind).to.equal('accepted');
}

function refuses(reason: RefusalReason, ...given: Parameters<typeof verify>): void {
  const verdict = verify(...given);
  expect(verdict.kind === 'refused' ? verdict.reason : verdict.kind).to.equal(reason);
}

/** A leaf signed by A's intermediate, and that intermediate. */
function leafOfA(extensions: readonly Asn1[]): readonly Buffer[] {
  return under(A.intermediate, extensions);
}
function under(signer: Signer, extensions: readonly Asn1[], ...above: Signer[]): readonly Buffer[] {
  const leaf = forgeCertificate({ signer, key: KEY, extensions });
  return [leaf, signer.certificate.der, ...above.map(each => each.certificate.der)];
}
function intermediateOf(signer: Signer, name: string, extensions = CA_EXTENSIONS): Signer {
  return forgeSigner({ signer, commonName: name, extensions });
}

describe('verifyPeer', () => {
  describe('identity', () => {
    it('is the one URI name of the leaf, with who signed it and until when', () => {
      const svid = testSvid(A);
      expect(verify(svid.chain)).to.deep.equal({
        kind: 'accepted',
        id: svid.id,
        trustDomain: 'a.example',
        issuer: {
          subject: 'O=Isthmus issuer, CN=a',
          sha256: A.intermediate.certificate.x509.fingerprint256.replaceAll(':', '').toLowerCase(),
        },
        notAfterMs: NOW + HOUR_MS,
      });
    });

    const refusedNames: readonly [
      title: string,
      reason: RefusalReason,
      entries: Asn1 | undefined,
    ][] = [
      ['no names at all', 'id-missing', undefined],
      ['a DNS name alone', 'id-missing', names([2, 'cart.shop'])],
      ['two URIs', 'id-ambiguous', names([6, ID], [6, 'spiffe://a.example/ns/shop/sa/admin'])],
      ['the same URI twice', 'id-ambiguous', names([6, ID], [6, ID])],
      ['a SPIFFE ID beside an https URI', 'id-ambiguous', names([6, ID], [6, 'https://a.example'])],
      [
        'an upper-case trust domain',
        'id-invalid',
        names([6, 'spiffe://A.example/ns/shop/sa/cart']),
      ],
      ['a trust domain without a path', 'id-invalid', names([6, 'spiffe://a.example'])],
      ['a dot segment', 'id-invalid', names([6, 'spiffe://a.example/ns/../sa/cart'])],
      ['an encoded dot segment', 'id-invalid', names([6, 'spiffe://a.example/ns/%2e%2e/cart'])],
      ['a user', 'id-invalid', names([6, 'spiffe://b.example@a.example/ns/shop/sa/cart'])],
      ['a port', 'id-invalid', names([6, 'spiffe://a.example:443/ns/shop/sa/cart'])],
      ['a query', 'id-invalid', names([6, `${ID}?x`])],
      ['a NUL', 'id-invalid', names([6, `${ID}\0.evil`])],
      ['a comma', 'id-invalid', names([6, `${ID}, URI:spiffe://a.example/x`])],
      ['a line break', 'id-invalid', names([6, `${ID}\n`])],
      [
        'an overlong UTF-8 dot',
        'id-invalid',
        names([6, 'spiffe://a.example/ns/\xc0\xae\xc0\xae/x']),
      ],
      ['2049 bytes', 'id-invalid', names([6, `spiffe://a.example/${'x'.repeat(2030)}`])],
    ];
    for (const [title, reason, entries] of refusedNames) {
      it(`is refused with ${title}`, () => {
        refuses(reason, leafOfA([...LEAF_EXTENSIONS, ...(entries === undefined ? [] : [entries])]));
      });
    }

    const acceptedNames: readonly [title: string, entries: Asn1][] = [
      ['its URI alone', names([6, ID])],
      ['a DNS name beside it', names([2, 'cart.shop'], [6, ID])],
      [
        'an otherName with a NUL in it beside it',
        extension(
          OID.subjectAltName,
          true,
          sequence(
            taggedOf(0, oid('1.3.6.1.4.1.311.20.2.3'), taggedOf(0, utf8String('admin\0evil'))),
            tagged(6, Buffer.from(ID)),
          ),
        ),
      ],
      ['2048 bytes', names([6, `spiffe://a.example/${'x'.repeat(2029)}`])],
    ];
    for (const [title, entries] of acceptedNames) {
      it(`is accepted with ${title}`, () => accepts(leafOfA([...LEAF_EXTENSIONS, entries])));
    }

    it('in the common name alone is none', () => {
      const leaf = { signer: A.intermediate, key: KEY, commonName: ID };
      const chainWith = (extensions: readonly Asn1[]): readonly Buffer[] => [
        forgeCertificate({ ...leaf, extensions }),
        A.intermediate.certificate.der,
      ];
      refuses('id-missing', chainWith(LEAF_EXTENSIONS));
      accepts(chainWith([...LEAF_EXTENSIONS, names([6, ID])]));
    });
  });

  describe('leaf', () => {
    const honest = names([6, ID]);
    const cases: readonly [title: string, reason: RefusalReason, bad: Asn1[], good: Asn1[]][] = [
      [
        'may not be a CA',
        'leaf-is-ca',
        [basicConstraints(true), keyUsage(DIGITAL_SIGNATURE)],
        [basicConstraints(false), keyUsage(DIGITAL_SIGNATURE)],
      ],
      [
        'must have digitalSignature',
        'key-usage',
        [basicConstraints(false), keyUsage(0x20)],
        [basicConstraints(false), keyUsage(DIGITAL_SIGNATURE | 0x20)],
      ],
      [
        'must say what its key is for',
        'key-usage',
        [basicConstraints(false)],
        [keyUsage(DIGITAL_SIGNATURE)],
      ],
      [
        'may not sign certificates',
        'key-usage',
        [basicConstraints(false), keyUsage(DIGITAL_SIGNATURE | CERT_SIGN)],
        [...LEAF_EXTENSIONS],
      ],
      [
        'may not sign CRLs',
        'key-usage',
        [basicConstraints(false), keyUsage(DIGITAL_SIGNATURE | CRL_SIGN)],
        [...LEAF_EXTENSIONS],
      ],
      [
        'that names purposes must be for servers and clients',
        'extended-key-usage',
        [...LEAF_EXTENSIONS, extendedKeyUsage(OID.serverAuth)],
        [...LEAF_EXTENSIONS, extendedKeyUsage(OID.serverAuth, OID.clientAuth)],
      ],
      [
        'may not have a critical extension nobody here understands',
        'critical-extension',
        [...LEAF_EXTENSIONS, extension('1.3.6.1.4.1.99999.1', true, sequence())],
        [...LEAF_EXTENSIONS, extension('1.3.6.1.4.1.99999.1', false, sequence())],
      ],
      [
        'may not have one extension twice',
        'certificate-malformed',
        [...LEAF_EXTENSIONS, basicConstraints(false)],
        [...LEAF_EXTENSIONS],
      ],
    ];
    for (const [title, reason, bad, good] of cases) {
      it(title, () => {
        refuses(reason, leafOfA([...bad, honest]));
        accepts(leafOfA([...good, honest]));
      });
    }

    it('must have a key of a sound kind and size', () => {
      const { privateKey: short } = generateKeyPairSync('rsa', { modulusLength: 1024 });
      const { privateKey: sound } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const { privateKey: curve } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
      const withKey = (key: typeof short): readonly Buffer[] => [
        forgeCertificate({
          signer: A.intermediate,
          key,
          extensions: [...LEAF_EXTENSIONS, names([6, ID])],
        }),
        A.intermediate.certificate.der,
      ];
      refuses('weak-algorithm', withKey(short));
      refuses('weak-algorithm', withKey(curve));
      accepts(withKey(sound));
    });
  });

  describe('trust', () => {
    it('ends at the trust domain of the leaf: A cannot sign for B, though both are trusted', () => {
      const forB = [...LEAF_EXTENSIONS, names([6, 'spiffe://b.example/ns/shop/sa/cart'])];
      const unconstrained = intermediateOf(A.root, 'a');
      refuses('untrusted', under(unconstrained, forB));
      refuses('untrusted', [forgeCertificate({ signer: A.root, key: KEY, extensions: forB })]);
      accepts(under(unconstrained, [...LEAF_EXTENSIONS, names([6, ID])]));
      accepts(under(B.intermediate, forB));
    });

    it('does not come through a CA of another trust domain that its root has cross-signed', () => {
      const forB = [...LEAF_EXTENSIONS, names([6, 'spiffe://b.example/ns/shop/sa/cart'])];
      const crossSigned = (named: string): Signer =>
        intermediateOf(B.root, named, [...CA_EXTENSIONS, names([6, `spiffe://${named}`])]);
      const foreign = crossSigned('a.example');
      const below = intermediateOf(foreign, 'below');
      refuses('name-constraints', under(foreign, forB));
      refuses('name-constraints', under(below, forB, foreign));
      // Also with the cross-signed certificate beside the root in one bundle.
      const x509Authorities = [...B.bundle.x509Authorities, foreign.certificate.der];
      const both = bundles(A.bundle, { ...B.bundle, x509Authorities });
      refuses('name-constraints', under(below, forB, foreign), NOW, anyIdentity, both);
      refuses('name-constraints', under(below, forB), NOW, anyIdentity, both);
      const own = crossSigned('b.example');
      accepts(under(own, forB));
      accepts(under(intermediateOf(own, 'below'), forB, own), NOW, anyIdentity, both);
    });

    it('is not lent by sending a foreign root along', () => {
      const mallory = testAuthority('a.example');
      const forged = testSvid(mallory);
      refuses('untrusted', [...forged.chain, mallory.root.certificate.der]);
      refuses('untrusted', [...forged.chain, A.root.certificate.der]);
      accepts([...testSvid(A).chain, A.root.certificate.der]);
    });

    it('needs a bundle of the trust domain', () => {
      const { chain } = testSvid(testAuthority('c.example'));
      refuses('trust-domain-unknown', chain);
    });

    it('ends when the bundle is empty', () => {
      const empty = { ...A.bundle, x509Authorities: [] };
      const verdict = verify(testSvid(A).chain, NOW, anyIdentity, bundles(empty, B.bundle));
      expect(verdict).to.include({ kind: 'refused', reason: 'bundle-empty', id: ID });
      accepts(testSvid(A).chain);
    });

    it('is refused when its own trust domain revoked it, and only then', () => {
      const cart = testSvid(A).chain;
      const revoking = (revoked: readonly SpiffeId[]): ReturnType<typeof bundles> =>
        bundles({ ...A.bundle, revoked }, B.bundle);
      const revoked = revoking([idOf(A, 'ns/shop/sa/cart')]);
      const verdict = verify(cart, NOW, anyIdentity, revoked);
      expect(verdict).to.include({ kind: 'refused', reason: 'revoked', id: ID });
      provoked.add('revoked');
      accepts(cart, NOW, anyIdentity, revoking([idOf(A, 'ns/shop/sa/car')]));
      accepts(testSvid(A, 'ns/shop/sa/web').chain, NOW, anyIdentity, revoked);
      accepts(testSvid(B).chain, NOW, anyIdentity, revoked);
    });

    it('survives an unreadable root beside a good one', () => {
      const roots = [Buffer.from('junk'), ...A.bundle.x509Authorities];
      const mixed = bundles({ ...A.bundle, x509Authorities: roots });
      accepts(testSvid(A).chain, NOW, anyIdentity, mixed);
      const junk = bundles({ ...A.bundle, x509Authorities: roots.slice(0, 1) });
      refuses('untrusted', testSvid(A).chain, NOW, anyIdentity, junk);
    });

    it('is proven by signatures, not by names: a changed leaf is refused', () => {
      const [leaf, ...rest] = testSvid(A).chain;
      const changed = Buffer.from(leaf!);
      changed[changed.indexOf('cart')] = 'd'.charCodeAt(0);
      refuses('untrusted', [changed, ...rest]);
      accepts([leaf!, ...rest]);
    });
  });

  describe('intermediates', () => {
    const honest = [...LEAF_EXTENSIONS, names([6, ID])];

    it('must be CAs: a leaf cannot issue', () => {
      const holder = intermediateOf(A.root, 'holder', [...LEAF_EXTENSIONS, names([6, ID])]);
      refuses('issuer-not-ca', under(holder, honest));
      refuses('issuer-not-ca', under(intermediateOf(A.root, 'bare', []), honest));
      // An honest SVID has an empty subject, which must be no stumbling block.
      const { chain, key } = testSvid(A);
      const leafAsIssuer = signerOf(chain[0]!, key);
      refuses('issuer-not-ca', under(leafAsIssuer, honest, A.intermediate));
      accepts(under(intermediateOf(A.root, 'holder'), honest));
    });

    it('must have keyCertSign', () => {
      const idle = [basicConstraints(true), keyUsage(DIGITAL_SIGNATURE)];
      refuses('key-usage', under(intermediateOf(A.root, 'idle', idle), honest));
    });

    it('keep to the path length above them', () => {
      const limited = (length: number): Signer =>
        intermediateOf(A.root, 'limited', [basicConstraints(true, length), keyUsage(CERT_SIGN)]);
      const zero = limited(0);
      const one = limited(1);
      refuses('path-length', under(intermediateOf(zero, 'below'), honest, zero));
      accepts(under(zero, honest));
      accepts(under(intermediateOf(one, 'below'), honest, one));
    });

    it('keep to the name constraints above them', () => {
      const constrained = (permitted: string[], excluded: string[] = []): readonly Buffer[] => {
        const constraints = uriConstraints(permitted, excluded);
        return under(intermediateOf(A.root, 'nc', [...CA_EXTENSIONS, constraints]), honest);
      };
      refuses('name-constraints', constrained(['b.example']));
      refuses('name-constraints', constrained(['.a.example']));
      refuses('name-constraints', constrained([], ['a.example']));
      refuses('name-constraints', constrained(['a.example'], ['.example']));
      accepts(constrained(['a.example']));
      accepts(constrained(['.example']));
      accepts(constrained(['b.example', 'a.example'], ['.a.example']));
    });

    it('with constraints on other kinds of names are refused rather than half obeyed', () => {
      const dns = extension(
        OID.nameConstraints,
        true,
        sequence(taggedOf(0, sequence(tagged(2, Buffer.from('example'))))),
      );
      const signer = intermediateOf(A.root, 'nc', [...CA_EXTENSIONS, dns]);
      refuses('name-constraints', under(signer, honest));
    });

    it('are at most three', () => {
      const one = intermediateOf(A.root, 'one');
      const two = intermediateOf(one, 'two');
      const three = intermediateOf(two, 'three');
      const four = intermediateOf(three, 'four');
      accepts(under(three, honest, two, one));
      accepts(under(three, honest, two, one, A.root));
      refuses('chain-too-long', under(four, honest, three, two, one, A.root));
    });

    it('must be sent, and in order', () => {
      const [leaf, intermediate] = testSvid(A).chain;
      refuses('untrusted', [leaf!]);
      refuses('untrusted', [leaf!, B.intermediate.certificate.der, intermediate!]);
      accepts([leaf!, intermediate!]);
    });
  });

  describe('time', () => {
    it('is checked for the leaf', () => {
      const { chain, notBeforeMs, notAfterMs } = testSvid(A);
      refuses('not-yet-valid', chain, notBeforeMs - 1);
      accepts(chain, notBeforeMs);
      accepts(chain, notAfterMs);
      refuses('expired', chain, notAfterMs + 1);
    });

    it('is checked for the intermediate and the root', () => {
      const extensions = [...LEAF_EXTENSIONS, names([6, ID])];
      const longLeaf = (signer: Signer): readonly Buffer[] => [
        forgeCertificate({ signer, key: KEY, extensions, notAfterMs: NOW + 10_000 * DAY_MS }),
      ];
      const { intermediate, root } = A;
      const underIntermediate = [...longLeaf(intermediate), intermediate.certificate.der];
      accepts(underIntermediate, intermediate.certificate.notAfterMs);
      refuses('expired', underIntermediate, intermediate.certificate.notAfterMs + 1);
      accepts(longLeaf(root), root.certificate.notAfterMs);
      refuses('expired', longLeaf(root), root.certificate.notAfterMs + 1);
    });

    it('of a workload leaf never ends after its issuer', () => {
      const late = A.intermediate.certificate.notAfterMs - HOUR_MS;
      const subject = { publicKey: createPublicKey(KEY), id: idOf(A, 'x'), ttlMs: DAY_MS };
      const leaf = issueLeaf(subject, A.intermediate, late);
      const verdict = verify([leaf, A.intermediate.certificate.der], late);
      expect(verdict).to.include({
        kind: 'accepted',
        notAfterMs: A.intermediate.certificate.notAfterMs,
      });
    });
  });

  describe('bytes', () => {
    it('that are nothing, junk, cut short or too long are refused without a throw', () => {
      const [leaf, intermediate] = testSvid(A).chain;
      refuses('chain-empty', []);
      refuses('certificate-malformed', [Buffer.alloc(0)]);
      refuses('certificate-malformed', [Buffer.from('not a certificate')]);
      refuses('certificate-malformed', [leaf!.subarray(0, -1), intermediate!]);
      refuses('certificate-malformed', [Buffer.concat([leaf!, Buffer.of(0)]), intermediate!]);
      refuses('certificate-malformed', [leaf!, Buffer.alloc(16_385, 0x30)]);
      accepts([leaf!, intermediate!]);
    });

    it('nested ten thousand levels deep are refused', () => {
      refuses('certificate-malformed', [Buffer.from('3080'.repeat(8_000), 'hex')]);
    });

    it('with an extension value that is not DER are refused', () => {
      const bad = sequence(sequence(), bitString(Buffer.of(1)));
      refuses('certificate-malformed', leafOfA([...LEAF_EXTENSIONS, bad]));
    });
  });

  describe('authorizers', () => {
    const clusterSet = testAuthority('clusterset.example');
    const known = bundles(A.bundle, clusterSet.bundle);
    const { trustDomain } = clusterSet;
    const east = parseClusterName('east');
    it('exactly: one identity and no other', () => {
      const authorize = exactly(idOf(A, 'ns/shop/sa/cart'));
      accepts(testSvid(A, 'ns/shop/sa/cart').chain, NOW, authorize);
      refuses('not-authorized', testSvid(A, 'ns/shop/sa/carts').chain, NOW, authorize);
    });

    it('inTrustDomain: its own workloads, not a neighbour', () => {
      accepts(testSvid(A).chain, NOW, inTrustDomain(A.trustDomain));
      refuses('not-authorized', testSvid(B).chain, NOW, inTrustDomain(A.trustDomain));
    });

    it('anyMember: the ClusterSet clusters, neither its registry nor a look-alike elsewhere', () => {
      const verdictOn = (authority: typeof A, path: string): PeerVerdict =>
        verify(testSvid(authority, path).chain, NOW, anyMember(trustDomain), known);
      expect(verdictOn(clusterSet, 'cluster/east')).to.include({ id: memberId(trustDomain, east) });
      for (const [authority, path] of [
        [clusterSet, 'registry'],
        [clusterSet, 'cluster/east/x'],
        [clusterSet, 'cluster/EAST'],
        [A, 'cluster/east'],
      ] as const) {
        expect(verdictOn(authority, path)).to.include({ reason: 'not-authorized' });
      }
      expect(registryId(trustDomain)).to.equal('spiffe://clusterset.example/registry');
    });

    it('are asked only about identities that are proven', () => {
      const asked: string[] = [];
      const spy: Authorizer = id => void asked.push(id);
      verify(testSvid(testAuthority('a.example')).chain, NOW, spy);
      expect(asked).to.be.empty;
      verify(testSvid(A).chain, NOW, spy);
      expect(asked).to.deep.equal([ID]);
    });
  });

  describe('reasons', () => {
    it('have all been given by the tests above', () => {
      expect([...provoked]).to.have.members(REFUSAL_REASONS);
    });
  });
});
