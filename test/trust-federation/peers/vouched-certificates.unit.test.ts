import { expect } from 'chai';
import type { TrustBundle } from '../../../src/mesh/trust-bundle.ts';
import type { Svid } from '../../../src/trust-federation/identity/svid.ts';
import { VOUCHED_CERTIFICATES_MAX } from '../../../src/trust-federation/limits.ts';
import { type PeerVerdict, verifyPeer } from '../../../src/trust-federation/peers/verify.ts';
import { readCertificate } from '../../../src/trust-federation/peers/vouched-certificates.ts';
import { DAY_MS, NOW, testAuthority, testSvid } from '../pki.ts';

const WEST = testAuthority('west.example');
const verdictOn = (svid: Svid, bundle: TrustBundle = WEST.bundle, nowMs = NOW): PeerVerdict =>
  verifyPeer(svid.chain, new Map([[bundle.trustDomain, bundle]]), () => undefined, nowMs);
/** Read once for all, or anew each time. */
const isKept = (svid: Svid): boolean => {
  const [leaf] = svid.chain;
  if (leaf === undefined) throw new Error('an SVID has a leaf');
  return readCertificate(leaf) === readCertificate(leaf);
};

describe('certificates that a root has vouched for', () => {
  it('are kept once their peer was accepted, and those of strangers are not', () => {
    const svid = testSvid(WEST);
    const stranger = testSvid(testAuthority('west.example'));
    expect(isKept(svid)).to.equal(false);
    expect(verdictOn(svid).kind).to.equal('accepted');
    expect(isKept(svid)).to.equal(true);
    expect(verdictOn(stranger)).to.include({ kind: 'refused', reason: 'untrusted' });
    expect(isKept(stranger)).to.equal(false);
  });

  it('are refused all the same when their root has gone, their time is over or they are revoked', () => {
    const svid = testSvid(WEST);
    expect(verdictOn(svid).kind).to.equal('accepted');
    const { bundle } = testAuthority('west.example');
    expect(verdictOn(svid, bundle)).to.include({ reason: 'untrusted' });
    expect(verdictOn(svid, WEST.bundle, NOW + DAY_MS)).to.include({ reason: 'expired' });
    const revoked = { ...WEST.bundle, revoked: [svid.id] };
    expect(verdictOn(svid, revoked)).to.include({ reason: 'revoked' });
    expect(verdictOn(svid).kind).to.equal('accepted');
  });

  it('are bounded in number: those used longest ago go first', () => {
    const first = testSvid(WEST);
    const busy = testSvid(WEST);
    verdictOn(first);
    for (let i = 0; i < VOUCHED_CERTIFICATES_MAX; i++) {
      verdictOn(testSvid(WEST));
      verdictOn(busy);
    }
    expect(isKept(first)).to.equal(false);
    expect(isKept(busy)).to.equal(true);
  });
});
