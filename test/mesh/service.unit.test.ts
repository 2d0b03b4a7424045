import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  parseClusterName,
  parseNamespace,
  parseServiceName,
  parseWorkloadName,
} from '../../src/mesh/names.ts';
import { endpointHash, keyOf, parseServiceHost, serviceHost } from '../../src/mesh/service.ts';

const namespace = parseNamespace('shop');
const name = parseServiceName('payments');

describe('the name of a service', () => {
  it('is MCS form across clusters and cluster.local form inside one', () => {
    expect(serviceHost('clusterset', namespace, name)).to.equal(
      'payments.shop.svc.clusterset.local',
    );
    expect(serviceHost('cluster', namespace, name)).to.equal('payments.shop.svc.cluster.local');
  });

  for (const scope of ['clusterset', 'cluster'] as const) {
    it(`reads back from its ${scope} form, in any case, with or without a trailing dot`, () => {
      const host = serviceHost(scope, namespace, name);
      for (const text of [host, host.toUpperCase(), `${host}.`]) {
        expect(parseServiceHost(text)).to.deep.equal({ scope, namespace, name });
      }
    });
  }

  const foreign = [
    '',
    '.',
    'example.com',
    'svc.clusterset.local',
    '.svc.clusterset.local',
    'payments.svc.clusterset.local',
    'payments..svc.clusterset.local',
    '.shop.svc.clusterset.local',
    'a.payments.shop.svc.clusterset.local',
    'payments.shop.svc.clusterset.local.evil.example',
    'payments.shop.svc.clusterset.local..',
    'payments.shopsvc.clusterset.local',
    'pay_ments.shop.svc.clusterset.local',
    `${'x'.repeat(64)}.shop.svc.clusterset.local`,
    '\u212Aube.shop.svc.clusterset.local',
    'payments.shop.svc.cluster.local:80',
  ];
  for (const host of foreign) {
    it(`is not ${JSON.stringify(host)}`, () => {
      expect(parseServiceHost(host)).to.equal(undefined);
    });
  }

  it('is namespace/name as a key', () => {
    expect(keyOf({ namespace, name })).to.equal('shop/payments');
  });
});

describe('the hash of an endpoint', () => {
  // Computed apart with FNV-1a 64, whose published vector for "foobar" is 85944171f73967e8.
  it('is FNV-1a 64 of cluster/workload in sixteen hex digits', () => {
    expect(endpointHash(parseClusterName('west'), parseWorkloadName('payments-west-0'))).to.equal(
      '836dc1a4f9c5c581',
    );
    expect(endpointHash(parseClusterName('east'), parseWorkloadName('web'))).to.equal(
      'f637120367aa4a9d',
    );
  });

  it('keeps leading zeros and tells endpoints apart', () => {
    const cluster = parseClusterName('west');
    const hashes = Array.from({ length: 2000 }, (_, i) =>
      endpointHash(cluster, parseWorkloadName(`payments-${i}`)),
    );
    expect(hashes.every(hash => /^[0-9a-f]{16}$/.test(hash))).to.equal(true);
    expect(hashes.some(hash => hash.startsWith('0'))).to.equal(true);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });
});
