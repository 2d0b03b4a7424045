import { expect } from 'chai';
import { describe, it } from 'mocha';
import { callersOf, inboundName } from '../../src/mesh/callers.ts';
import { parseClusterName, parseNamespace, parseServiceName } from '../../src/mesh/names.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';

const [EAST, WEST, EU] = ['east', 'west', 'eu'].map(parseClusterName) as [never, never, never];
const CLUSTERS = ['west', 'east', 'eu'].map(name => ({
  name: parseClusterName(name),
  trustDomain: parseTrustDomain(`${name}.example`),
}));

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
      expect(callersOf(service, WEST, CLUSTERS)).to.deep.equal(
        expected.map(name => `${name}.example`),
      );
    });
  }

  it('is said for each port, under its name in the ClusterSet', () => {
    const service = { namespace: parseNamespace('shop'), name: parseServiceName('payments') };
    expect(inboundName(service, 80)).to.equal('inbound|80||payments.shop.svc.clusterset.local');
  });
});
