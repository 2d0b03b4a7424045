import { expect } from 'chai';
import { describe, it } from 'mocha';
import { callersOf, inboundName } from '../../src/mesh/callers.ts';
import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  serviceKey,
} from '../../src/mesh/names.ts';
import { keyOf } from '../../src/mesh/service.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';

const [EAST, WEST, EU] = ['east', 'west', 'eu'].map(parseClusterName) as [never, never, never];
const CLUSTERS = ['west', 'east', 'eu'].map(name => ({
  name: parseClusterName(name),
  trustDomain: parseTrustDomain(`${name}.example`),
}));
const PAYMENTS = { namespace: parseNamespace('shop'), name: parseServiceName('payments') };

describe('who may call a service of west', () => {
  for (const [title, service, expected] of [
    ['its own cluster when it is not exported', { exported: false, exportTo: 'all' }, ['west']],
    ['everyone when it is exported', { exported: true, exportTo: 'all' }, ['east', 'eu', 'west']],
    ['whom it is exported to', { exported: true, exportTo: [EU] }, ['eu', 'west']],
    [
      'nobody else for being named twice',
      { exported: true, exportTo: [EU, EU, WEST] },
      ['eu', 'west'],
    ],
    ['no cluster that is not there', { exported: true, exportTo: ['mars' as never] }, ['west']],
    ['nobody by a list without "export"', { exported: false, exportTo: [EAST] }, ['west']],
  ] as const) {
    it(`is ${title}`, () => {
      const payments = { ...PAYMENTS, ...service };
      expect(callersOf(payments, WEST, CLUSTERS, new Map())).to.deep.equal(
        expected.map(name => `${name}.example`),
      );
    });
  }

  it('is who was invited to it from outside, exported or not, and not to another', () => {
    const guests = new Map([
      [parseTrustDomain('partner.org'), new Set([keyOf(PAYMENTS)])],
      [parseTrustDomain('other.org'), new Set([serviceKey(PAYMENTS.namespace, 'a' as never)])],
      [parseTrustDomain('nothing.org'), new Set<never>()],
    ]);
    const local = { ...PAYMENTS, exported: false, exportTo: 'all' } as const;
    expect(callersOf(local, WEST, CLUSTERS, guests)).to.deep.equal(['partner.org', 'west.example']);
  });

  it('is said for each port, under its name in the ClusterSet', () => {
    expect(inboundName(PAYMENTS, 80)).to.equal('inbound|80||payments.shop.svc.clusterset.local');
  });
});
