/** Whatever bytes come: CSRs and certificates are refused, never thrown over, never half believed. */

import { expect } from 'chai';
import fc from 'fast-check';
import { isMeshError } from '../../src/mesh/errors.ts';
import { generateSvidKey } from '../../src/trust-federation/identity/svid.ts';
import { anyIdentity } from '../../src/trust-federation/peers/authorizer.ts';
import { verifyPeer } from '../../src/trust-federation/peers/verify.ts';
import { createCsr, parseCsr } from '../../src/trust-federation/x509/csr.ts';
import { decode, encode } from '../../src/trust-federation/x509/der.ts';
import { idOf, NOW, testAuthority, testSvid } from './pki.ts';

const authority = testAuthority('a.example');
const svid = testSvid(authority);
const csr = createCsr(generateSvidKey(), idOf(authority, 'ns/shop/sa/cart'));
const bundles = new Map([[authority.trustDomain, authority.bundle]]);

/** `count` changes of one byte each: the place as a share of the length, and what to add to it. */
const changes = (count: number): fc.Arbitrary<readonly (readonly [number, number])[]> =>
  fc.array(
    fc.tuple(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
    ),
    { minLength: 1, maxLength: count },
  );

function changed(bytes: Buffer, edits: readonly (readonly [number, number])[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [at, add] of edits) {
    const index = Math.floor(at * copy.length);
    copy[index] = (copy[index]! + add) & 0xff;
  }
  return copy;
}

describe('untrusted bytes', () => {
  it('as a CSR are refused as CSR_REFUSED', () => {
    const bytes = fc.oneof(
      changes(3).map(edits => changed(csr, edits)),
      fc.nat({ max: csr.length - 1 }).map(length => csr.subarray(0, length)),
      fc.uint8Array({ maxLength: 200 }),
    );
    fc.assert(
      fc.property(bytes, der => {
        fc.pre(!csr.equals(der));
        expect(() => parseCsr(der))
          .to.throw()
          .that.satisfies((error: unknown) => isMeshError(error, 'CSR_REFUSED'));
      }),
      { numRuns: 500 },
    );
  });

  it('as a certificate chain are refused: no changed byte goes unnoticed', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1), changes(2), (which, edits) => {
        const chain = svid.chain.map((der, i) => (i === which ? changed(der, edits) : der));
        fc.pre(!chain.every((der, i) => svid.chain[i]!.equals(der)));
        expect(verifyPeer(chain, bundles, anyIdentity, NOW).kind).to.equal('refused');
      }),
      { numRuns: 300 },
    );
    expect(verifyPeer(svid.chain, bundles, anyIdentity, NOW).kind).to.equal('accepted');
  });

  it('as DER are read whole or not at all, and written back the same', () => {
    fc.assert(
      fc.property(changes(3), edits => {
        const der = changed(svid.chain[0]!, edits);
        let node: ReturnType<typeof decode>;
        try {
          node = decode(der);
        } catch {
          return;
        }
        expect(encode(node).equals(der)).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });
});
