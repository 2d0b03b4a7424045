import { expect } from 'chai';
import type { ClusterName, Namespace, ServiceName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import {
  formatProbeSni,
  formatSni,
  parseProbeSni,
  parseSni,
  type Sni,
} from '../../src/wire/sni.ts';

const SERVICE: Sni = {
  cluster: 'west' as ClusterName,
  namespace: 'shop' as Namespace,
  service: 'payments' as ServiceName,
  port: 80,
};
const ENDPOINT: Sni = { ...SERVICE, endpoint: '0123456789abcdef' as EndpointHash };

describe('a mesh server name', () => {
  it('of a service reads back to the same value', () => {
    expect(formatSni(SERVICE)).to.equal('p80.payments.shop.west.v1.isthmus.internal');
    expect(parseSni(formatSni(SERVICE))).to.deep.equal(SERVICE);
  });

  it('of one endpoint reads back to the same value', () => {
    expect(formatSni(ENDPOINT)).to.equal(
      'e0123456789abcdef.p80.payments.shop.west.v1.isthmus.internal',
    );
    expect(parseSni(formatSni(ENDPOINT))).to.deep.equal(ENDPOINT);
  });

  it('fits a DNS name whatever the names in it', () => {
    const label = 'a'.repeat(63);
    const longest = formatSni({
      cluster: label as ClusterName,
      namespace: label as Namespace,
      service: label as ServiceName,
      port: 65_535,
      endpoint: 'ffffffffffffffff' as EndpointHash,
    });
    expect(longest.length).to.be.at.most(253);
    expect(parseSni(longest)).to.include({ port: 65_535 });
  });

  for (const same of [
    'P80.Payments.SHOP.west.v1.isthmus.internal',
    'p80.payments.shop.west.v1.isthmus.internal.',
    'p80.payments.shop.west.V1.ISTHMUS.INTERNAL.',
  ]) {
    it(`means the same as "${same}"`, () => {
      expect(parseSni(same)).to.deep.equal(SERVICE);
    });
  }

  for (const bad of [
    '',
    '.',
    'localhost',
    '127.0.0.1',
    '[::1]',
    'payments.shop.svc.clusterset.local',
    'outbound_.80_._.payments.shop.svc.cluster.local',
    'v1.isthmus.internal',
    '.v1.isthmus.internal',
    'p80.payments.shop.west.v2.isthmus.internal',
    'p80.payments.shop.west.v1.isthmus.internal.example',
    'p80.payments.shop.west.v1.isthmus.internal..',
    'p0.payments.shop.west.v1.isthmus.internal',
    'p080.payments.shop.west.v1.isthmus.internal',
    'p65536.payments.shop.west.v1.isthmus.internal',
    'p-1.payments.shop.west.v1.isthmus.internal',
    'p80x.payments.shop.west.v1.isthmus.internal',
    '80.payments.shop.west.v1.isthmus.internal',
    'payments.shop.west.v1.isthmus.internal',
    'p80.shop.west.v1.isthmus.internal',
    'p80..shop.west.v1.isthmus.internal',
    'p80.pay_ments.shop.west.v1.isthmus.internal',
    'p80.-payments.shop.west.v1.isthmus.internal',
    'x.p80.payments.shop.west.v1.isthmus.internal',
    'e0123.p80.payments.shop.west.v1.isthmus.internal',
    'e0123456789abcdeg.p80.payments.shop.west.v1.isthmus.internal',
    'a.e0123456789abcdef.p80.payments.shop.west.v1.isthmus.internal',
    `p80.${'a'.repeat(64)}.shop.west.v1.isthmus.internal`,
    'p80.payments.shop.we\0st.v1.isthmus.internal',
  ]) {
    it(`is not "${bad.slice(0, 80).replace('\0', '\\0')}"`, () => {
      expect(parseSni(bad)).to.equal(undefined);
    });
  }
});

describe('the server name of a probe', () => {
  const west = 'west' as ClusterName;

  it('reads back to the cluster', () => {
    expect(formatProbeSni(west)).to.equal('probe.west.v1.isthmus.internal');
    expect(parseProbeSni(formatProbeSni(west))).to.equal(west);
    expect(parseProbeSni('PROBE.West.v1.isthmus.internal.')).to.equal(west);
  });

  it('is no name of a service, and no name of a service is one', () => {
    expect(parseSni(formatProbeSni(west))).to.equal(undefined);
    const probe = { ...SERVICE, service: 'probe' as ServiceName, namespace: 'probe' as Namespace };
    expect(parseProbeSni(formatSni(probe))).to.equal(undefined);
    expect(parseSni(formatSni(probe))).to.deep.equal(probe);
  });

  for (const bad of [
    '',
    'probe',
    'probe.v1.isthmus.internal',
    'probe..v1.isthmus.internal',
    'probe.west.v2.isthmus.internal',
    'probes.west.v1.isthmus.internal',
    'x.probe.west.v1.isthmus.internal',
    'probe.west.v1.isthmus.internal..',
    'probe.we_st.v1.isthmus.internal',
  ]) {
    it(`is not "${bad}"`, () => {
      expect(parseProbeSni(bad)).to.equal(undefined);
    });
  }
});
