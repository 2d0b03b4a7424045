/** The SPIFFE-ID specification §2, row by row; verdicts are the specification's, not ours. */

import { expect } from 'chai';
import { isMeshError } from '../../src/mesh/errors.ts';
import { parseClusterName, parseNamespace, parseServiceAccount } from '../../src/mesh/names.ts';
import {
  memberClusterOf,
  memberId,
  parseSpiffeId,
  parseTrustDomain,
  registryId,
  requireSpiffeId,
  type SpiffeId,
  trustDomainOf,
  workloadId,
} from '../../src/mesh/spiffe-id.ts';

const longTrustDomain = 'a'.repeat(255);
const longPath = `spiffe://td/${'x'.repeat(2048 - 'spiffe://td/'.length)}`;

const LEGAL: readonly [text: string, trustDomain: string, path: string][] = [
  ['spiffe://td', 'td', ''],
  ['spiffe://a.example/ns/shop/sa/cart', 'a.example', '/ns/shop/sa/cart'],
  ['spiffe://a-b_c.9/x', 'a-b_c.9', '/x'],
  ['spiffe://_/x', '_', '/x'],
  ['spiffe://-/x', '-', '/x'],
  ['spiffe://1.2.3.4/service', '1.2.3.4', '/service'],
  ['spiffe://a..b/x', 'a..b', '/x'],
  ['spiffe://.a./x', '.a.', '/x'],
  ['spiffe://xn--nxasmq6b/x', 'xn--nxasmq6b', '/x'],
  ['spiffe://td/UPPER/lower/0-9._-', 'td', '/UPPER/lower/0-9._-'],
  ['spiffe://td/...', 'td', '/...'],
  ['spiffe://td/.hidden', 'td', '/.hidden'],
  ['spiffe://td/a..b', 'td', '/a..b'],
  ['spiffe://td/spiffe', 'td', '/spiffe'],
  ['spiffe://td/-', 'td', '/-'],
  [`spiffe://${longTrustDomain}/x`, longTrustDomain, '/x'],
  [longPath, 'td', longPath.slice('spiffe://td'.length)],
];

const ILLEGAL: readonly [title: string, text: string][] = [
  ['nothing', ''],
  ['no scheme', 'td/x'],
  ['another scheme', 'https://td/x'],
  ['an upper-case scheme', 'SPIFFE://td/x'],
  ['one slash', 'spiffe:/td/x'],
  ['no slashes', 'spiffe:td/x'],
  ['three slashes', 'spiffe:///x'],
  ['nothing after the scheme', 'spiffe://'],
  ['a blank in front', ' spiffe://td/x'],
  ['a blank behind', 'spiffe://td/x '],
  ['an upper-case trust domain', 'spiffe://TD/x'],
  ['a percent in the trust domain', 'spiffe://t%64/x'],
  ['user information', 'spiffe://user@td/x'],
  ['user and password', 'spiffe://user:pass@td/x'],
  ['a port', 'spiffe://td:8443/x'],
  ['an empty port', 'spiffe://td:/x'],
  ['an IPv6 literal', 'spiffe://[::1]/x'],
  ['an internationalised trust domain', 'spiffe://bücher.example/x'],
  ['an ideographic full stop', 'spiffe://a。example/x'],
  ['a Cyrillic letter that looks Latin', 'spiffe://ехample/x'],
  ['a backslash before a host', 'spiffe://td\\@evil/x'],
  ['a trailing slash', 'spiffe://td/'],
  ['a trailing slash after a path', 'spiffe://td/x/'],
  ['an empty segment', 'spiffe://td//x'],
  ['an empty segment inside', 'spiffe://td/x//y'],
  ['a dot segment', 'spiffe://td/./x'],
  ['a dot segment at the end', 'spiffe://td/x/.'],
  ['a dot-dot segment', 'spiffe://td/../x'],
  ['a dot-dot segment at the end', 'spiffe://td/x/..'],
  ['an encoded dot-dot segment', 'spiffe://td/%2e%2e/x'],
  ['an encoded slash', 'spiffe://td/a%2Fb'],
  ['a query', 'spiffe://td/x?y'],
  ['an empty query', 'spiffe://td/x?'],
  ['a fragment', 'spiffe://td/x#y'],
  ['a query without a path', 'spiffe://td?y'],
  ['a fragment without a path', 'spiffe://td#y'],
  ['a NUL', 'spiffe://td/x\0'],
  ['a tab', 'spiffe://td/x\ty'],
  ['a line feed at the end', 'spiffe://td/x\n'],
  ['a carriage return', 'spiffe://td/x\r'],
  ['a comma', 'spiffe://td/x,y'],
  ['a quote', 'spiffe://td/"x"'],
  ['a plus', 'spiffe://td/a+b'],
  ['a colon', 'spiffe://td/a:b'],
  ['a tilde', 'spiffe://td/~a'],
  ['a letter beyond ASCII', 'spiffe://td/é'],
  ['a trust domain of 256 bytes', `spiffe://${longTrustDomain}a/x`],
  ['2049 bytes', `${longPath}x`],
];

describe('SPIFFE IDs', () => {
  for (const [text, trustDomain, path] of LEGAL) {
    it(`${JSON.stringify(text.slice(0, 60))} is one`, () => {
      const parsed = parseSpiffeId(text);
      expect(parsed).to.deep.equal({ kind: 'ok', id: text, trustDomain, path });
      expect(trustDomainOf(text as SpiffeId)).to.equal(trustDomain);
    });
  }

  for (const [title, text] of ILLEGAL) {
    it(`with ${title} are refused`, () => {
      expect(parseSpiffeId(text).kind).to.equal('invalid');
      expect(() => requireSpiffeId(text))
        .to.throw()
        .that.satisfies(isNameInvalid);
    });
  }

  it('are made for workloads, members and the registry, and read back', () => {
    const trustDomain = parseTrustDomain('east.example');
    const workload = workloadId(trustDomain, parseNamespace('shop'), parseServiceAccount('cart'));
    const member = memberId(trustDomain, parseClusterName('east'));
    expect(workload).to.equal('spiffe://east.example/ns/shop/sa/cart');
    expect(member).to.equal('spiffe://east.example/cluster/east');
    expect(registryId(trustDomain)).to.equal('spiffe://east.example/registry');
    for (const id of [workload, member, registryId(trustDomain)]) {
      expect(requireSpiffeId(id)).to.equal(id);
    }
    expect(memberClusterOf(member)).to.equal('east');
  });

  it('of anything but a member name no cluster', () => {
    for (const path of ['cluster', 'cluster/East', 'cluster/a/b', 'x/cluster/a', 'cluster/a-']) {
      expect(memberClusterOf(requireSpiffeId(`spiffe://td/${path}`)), path).to.equal(undefined);
    }
    expect(memberClusterOf(requireSpiffeId('spiffe://td/cluster/a'))).to.equal('a');
  });
});

describe('trust domains', () => {
  it('have the grammar of an ID without its path', () => {
    for (const text of ['td', 'a.b-c_9', longTrustDomain]) {
      expect(parseTrustDomain(text)).to.equal(text);
    }
    for (const text of ['', 'TD', 'a/b', 'a:1', 'spiffe://a', 'a\n', `${longTrustDomain}a`]) {
      expect(() => parseTrustDomain(text), text)
        .to.throw()
        .that.satisfies(isNameInvalid);
    }
  });
});

function isNameInvalid(error: unknown): boolean {
  return isMeshError(error, 'NAME_INVALID');
}
