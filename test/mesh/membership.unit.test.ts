import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ClusterRecord } from '../../src/mesh/cluster.ts';
import { admitMembers, type Membership, type TrustMemory } from '../../src/mesh/membership.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import { config, endpoint, record, service } from './mesh-nouns.ts';

const EAST = config('east');

function admit(records: readonly ClusterRecord[], memory: TrustMemory = new Map()): Membership {
  return admitMembers(EAST, records, memory);
}

function refusalsOf({ refusals }: Membership): string[] {
  return refusals.map(({ cluster, kind }) => `${cluster}: ${kind}`);
}

describe('admitMembers', () => {
  const west = record('west');

  it('believes an honest cluster', () => {
    const { members, refusals } = admit([west]);
    expect(members.get(west.config.name)).to.deep.equal(west);
    expect(refusals).to.deep.equal([]);
  });

  it('never takes its own cluster from the registry', () => {
    expect(admit([record('east')]).members.size).to.equal(0);
  });

  it('refuses a cluster that claims our trust domain', () => {
    const thief = record('west', { config: config('west', { trustDomain: EAST.trustDomain }) });
    expect(refusalsOf(admit([thief]))).to.deep.equal(['west: trust-domain-taken']);
  });

  it('leaves a trust domain with the cluster that had it first, whatever their names', () => {
    const { memory } = admit([west]);
    const { trustDomain } = west.config;
    const thief = record('aaa', { config: config('aaa', { trustDomain }), bundle: west.bundle });
    const both = admit([thief, west], memory);
    expect([...both.members.keys()]).to.deep.equal(['west']);
    expect(refusalsOf(both)).to.deep.equal(['aaa: trust-domain-taken']);
    expect(refusalsOf(admit([thief], memory))).to.deep.equal(['aaa: trust-domain-taken']);
  });

  it('refuses a bundle of another trust domain than the config names', () => {
    const bundle = { ...west.bundle, trustDomain: parseTrustDomain('eu.example') };
    const lying = { ...west, bundle };
    expect(refusalsOf(admit([lying]))).to.deep.equal(['west: bundle-of-other-domain']);
  });

  it('takes a newer bundle', () => {
    const newer = { ...west, bundle: { ...west.bundle, sequence: 2, x509Authorities: [] } };
    const { members, refusals } = admit([newer], admit([west]).memory);
    expect(members.get(west.config.name)?.bundle).to.deep.equal(newer.bundle);
    expect(refusals).to.deep.equal([]);
  });

  for (const [what, bundle] of [
    ['an older bundle', { ...west.bundle, sequence: 0 }],
    ['other roots under the same sequence', { ...west.bundle, x509Authorities: [] }],
  ] as const) {
    it(`keeps the roots it has instead of ${what}, and the cluster`, () => {
      const result = admit([{ ...west, bundle }], admit([west]).memory);
      expect(result.members.get(west.config.name)?.bundle).to.deep.equal(west.bundle);
      expect(refusalsOf(result)).to.deep.equal(['west: bundle-older']);
    });
  }

  it('remembers the sequence of a cluster that went away', () => {
    const gone = admit([], admit([west]).memory);
    const back = admit([{ ...west, bundle: { ...west.bundle, sequence: 0 } }], gone.memory);
    expect(refusalsOf(back)).to.deep.equal(['west: bundle-older']);
  });

  it('drops an endpoint of a foreign identity and keeps its neighbours', () => {
    const exports = [
      service('cart', [
        endpoint('west', 'good'),
        { ...endpoint('west', 'bad'), spiffeId: endpoint('eu', 'x').spiffeId },
      ]),
    ];
    const result = admit([{ ...west, exports }]);
    const [cart] = result.members.get(west.config.name)?.exports ?? [];
    expect(cart?.endpoints.map(({ workload }) => workload)).to.deep.equal(['good']);
    expect(refusalsOf(result)).to.deep.equal(['west: endpoint-of-other-domain']);
  });
});
