/** Whom an importer believes, against a registry that may say anything. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ClaimedBundle, ClusterClaim } from '../../src/mesh/cluster.ts';
import {
  admitMembers,
  type Membership,
  NO_MEMORY,
  rememberedBundles,
  rememberRevocations,
  type TrustMemory,
} from '../../src/mesh/membership.ts';
import { parseClusterName } from '../../src/mesh/names.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import { bundle, claim, EAST, offer, PROOFS, revocation, signed } from './claims.ts';
import { config, endpoint, service } from './mesh-nouns.ts';

const WEST = parseClusterName('west');

function admit(claims: readonly ClusterClaim[], memory: TrustMemory = NO_MEMORY): Membership {
  return admitMembers(EAST, claims, memory, PROOFS);
}

function refusalsOf({ refusals }: Membership): string[] {
  return refusals.map(({ cluster, kind }) => `${cluster}: ${kind}`);
}

function rootsOf({ memory }: Membership, name = 'west'): string[] | undefined {
  const found = new Map(rememberedBundles(memory)).get(parseTrustDomain(`${name}.example`));
  return found?.x509Authorities.map(root => Buffer.from(root).toString());
}

describe('admitMembers', () => {
  const west = claim('west');
  const { memory } = admit([west]);

  it('believes an honest cluster', () => {
    const { members, refusals } = admit([west]);
    expect(members.get(WEST)).to.deep.equal({ ...west, bundle: bundle(1, ['west 1']) });
    expect(refusals).to.deep.equal([]);
  });

  it('never takes its own cluster from the registry', () => {
    expect(admit([claim('east')]).members.size).to.equal(0);
  });

  for (const [whose, trustDomain] of [
    ['our', EAST.trustDomain],
    ["the ClusterSet's", EAST.clusterSet],
  ] as const) {
    it(`refuses a cluster that claims ${whose} trust domain`, () => {
      const thief = claim('west', { config: config('west', { trustDomain }) });
      expect(refusalsOf(admit([thief]))).to.deep.equal(['west: trust-domain-taken']);
    });
  }

  it('leaves a trust domain with the cluster that had it first, whatever their names', () => {
    const { trustDomain } = west.config;
    const thief = claim('aaa', {
      config: config('aaa', { trustDomain }),
      bundle: offer(signed(bundle(9, ['aaa']), ['member'], 'aaa')),
    });
    const both = admit([thief, west], memory);
    expect([...both.members.keys()]).to.deep.equal(['west']);
    expect(refusalsOf(both)).to.deep.equal(['aaa: trust-domain-taken']);
    expect(refusalsOf(admit([thief], memory))).to.deep.equal(['aaa: trust-domain-taken']);
  });

  it('drops an endpoint of a foreign identity and keeps its neighbours', () => {
    const exports = [
      service('cart', [
        endpoint('west', 'good'),
        { ...endpoint('west', 'bad'), spiffeId: endpoint('eu', 'x').spiffeId },
      ]),
    ];
    const result = admit([{ ...west, exports }]);
    const [cart] = result.members.get(WEST)?.exports ?? [];
    expect(cart?.endpoints.map(({ workload }) => workload)).to.deep.equal(['good']);
    expect(refusalsOf(result)).to.deep.equal(['west: endpoint-of-other-domain']);
  });

  describe('at first contact', () => {
    const first = (claimed: ClaimedBundle): Membership => admit([{ ...west, bundle: claimed }]);
    const lies: readonly [what: string, claimed: ClaimedBundle, kind: string][] = [
      ['nobody vouches for', offer(signed(bundle(1, ['x']), ['x'])), 'bundle-not-vouched-for'],
      [
        'another member vouches for',
        offer(signed(bundle(1, ['x']), ['member eu', 'x'])),
        'bundle-not-vouched-for',
      ],
      [
        'is that of another cluster',
        offer(signed(bundle(1, ['x']), ['member'], 'eu')),
        'bundle-of-other-cluster',
      ],
      [
        'is of another ClusterSet',
        offer(signed(bundle(1, ['x']), ['member'], 'west', parseTrustDomain('other.example'))),
        'bundle-of-other-cluster',
      ],
      [
        'is of another trust domain',
        offer(signed(bundle(1, ['x'], 'eu'), ['member'])),
        'bundle-of-other-domain',
      ],
      ['cannot be read', { kind: 'unreadable', problem: 'junk' }, 'bundle-unreadable'],
      ['is withheld', { kind: 'missing', problem: 'none' }, 'bundle-missing'],
    ];
    for (const [what, claimed, kind] of lies) {
      it(`refuses a cluster whose bundle ${what}, and names it`, () => {
        const result = first(claimed);
        expect(result.members.size).to.equal(0);
        expect(rootsOf(result)).to.equal(undefined);
        expect(refusalsOf(result)).to.deep.equal([`west: ${kind}`]);
      });
    }

    it('does not let one bad cluster touch another', () => {
      const bad = claim('eu', { bundle: { kind: 'unreadable', problem: 'junk' } });
      expect([...admit([bad, west]).members.keys()]).to.deep.equal(['west']);
    });
  });

  describe('of a cluster it knows', () => {
    const next = (claimed: ClaimedBundle, from = memory): Membership =>
      admit([{ ...west, bundle: claimed }], from);
    const second = signed(bundle(2, ['west 1', 'west 2']), ['west 1', 'west 2']);
    const third = signed(bundle(3, ['west 2']), ['west 2']);
    const fourth = signed(bundle(4, ['west 3']), ['west 2', 'west 3']);

    it('takes the version that a root of the one before has signed', () => {
      expect(rootsOf(next(offer(second)))).to.deep.equal(['west 1', 'west 2']);
      const again = next(offer(third), next(offer(second)).memory);
      expect(rootsOf(again)).to.deep.equal(['west 2']);
      expect(refusalsOf(again)).to.deep.equal([]);
    });

    it('walks over the versions it missed', () => {
      for (const predecessors of [
        [second, third],
        [third, second],
      ]) {
        const result = next(offer(fourth, predecessors));
        expect(rootsOf(result)).to.deep.equal(['west 3']);
        expect(refusalsOf(result)).to.deep.equal([]);
      }
    });

    const lies: readonly [what: string, claimed: ClaimedBundle, kind: string][] = [
      [
        'injected roots, even with the membership stolen',
        offer(signed(bundle(2, ['evil']), ['member', 'evil'])),
        'bundle-not-succeeding',
      ],
      [
        'injected roots with an injected history',
        offer(signed(bundle(9, ['evil']), ['evil']), [signed(bundle(2, ['evil']), ['evil'])]),
        'bundle-not-succeeding',
      ],
      [
        "injected roots with another cluster's history",
        offer(signed(bundle(9, ['eu 1']), ['eu 1']), [
          signed(bundle(2, ['eu 1'], 'eu'), ['west 1'], 'eu'),
        ]),
        'bundle-not-succeeding',
      ],
      ['a gap in its history', offer(fourth, [third]), 'bundle-not-succeeding'],
      ['an older version', offer(signed(bundle(0, ['west 0']), ['west 1'])), 'bundle-older'],
      [
        'two versions under one number',
        offer(signed(bundle(1, ['evil']), ['member', 'west 1'])),
        'bundle-conflict',
      ],
      [
        "another cluster's record",
        offer(signed(bundle(1, ['eu 1'], 'eu'), ['member'], 'eu')),
        'bundle-of-other-cluster',
      ],
      ['junk', { kind: 'unreadable', problem: 'junk' }, 'bundle-unreadable'],
      ['nothing', { kind: 'missing', problem: 'none' }, 'bundle-missing'],
    ];
    for (const [what, claimed, kind] of lies) {
      it(`keeps what it has instead of ${what}, and names it`, () => {
        const result = next(claimed);
        expect([...result.members.keys()]).to.deep.equal(['west']);
        expect(rootsOf(result)).to.deep.equal(['west 1']);
        expect(refusalsOf(result)).to.deep.equal([`west: ${kind}`]);
        expect(rootsOf(next(offer(second), result.memory))).to.deep.equal(['west 1', 'west 2']);
      });
    }

    it('keeps its roots when the registry shows the cluster no more', () => {
      const gone = admit([], memory);
      expect(gone.members.size).to.equal(0);
      expect(rootsOf(gone)).to.deep.equal(['west 1']);
      const older = next(offer(signed(bundle(0, ['west 0']), ['member', 'west 1'])), gone.memory);
      expect(refusalsOf(older)).to.deep.equal(['west: bundle-older']);
    });

    it('trusts nobody once an authenticated empty bundle says so, until the membership vouches', () => {
      const empty = next(offer(signed(bundle(2, []), ['west 1'])));
      expect(rootsOf(empty)).to.deep.equal([]);
      expect([...empty.members.keys()]).to.deep.equal(['west']);
      const byRoot = next(offer(signed(bundle(3, ['west 1']), ['west 1'])), empty.memory);
      expect(rootsOf(byRoot)).to.deep.equal([]);
      expect(refusalsOf(byRoot)).to.deep.equal(['west: bundle-not-vouched-for']);
      const older = next(offer(signed(bundle(1, ['west 1']), ['member', 'west 1'])), empty.memory);
      expect(refusalsOf(older)).to.deep.equal(['west: bundle-older']);
      const anew = next(offer(signed(bundle(3, ['west 9']), ['member', 'west 9'])), empty.memory);
      expect(rootsOf(anew)).to.deep.equal(['west 9']);
    });

    it('does not take an empty bundle that no root has signed', () => {
      const result = next(offer(signed(bundle(2, []), ['member', 'evil'])));
      expect(rootsOf(result)).to.deep.equal(['west 1']);
      expect(refusalsOf(result)).to.deep.equal(['west: bundle-not-succeeding']);
    });
  });

  describe('of a revoked cluster', () => {
    const revoked = rememberRevocations(memory, [revocation('west', true, 5)]);
    const restored = rememberRevocations(revoked, [revocation('west', false, 6)]);

    it('believes nothing, trusts nobody, and leaves the others alone', () => {
      const result = admit([west, claim('eu')], revoked);
      expect([...result.members.keys()]).to.deep.equal(['eu']);
      expect(rootsOf(result)).to.deep.equal([]);
      expect(rootsOf(result, 'eu')).to.deep.equal(['eu 1']);
      expect(result.refusals).to.deep.equal([]);
    });

    it('holds to it whatever the registry does with the statement, until a newer one restores', () => {
      const older = [revocation('west', false, 4), revocation('west', false, 5)];
      expect(rootsOf(admit([west], rememberRevocations(revoked, older)))).to.deep.equal([]);
      expect(rootsOf(admit([west], rememberRevocations(revoked, [])))).to.deep.equal([]);
      expect(rootsOf(admit([west], restored))).to.deep.equal(['west 1']);
      const replayed = rememberRevocations(restored, [revocation('west', true, 5)]);
      expect(rootsOf(admit([west], replayed))).to.deep.equal(['west 1']);
    });

    it('does so before it has ever seen the cluster', () => {
      const early = rememberRevocations(NO_MEMORY, [revocation('west', true, 5)]);
      expect(admit([west], early).members.size).to.equal(0);
      expect(rootsOf(admit([west], early))).to.equal(undefined);
    });

    it('takes new roots of a restored one from its membership once, and nothing older', () => {
      const anew = (sequence: number, signers: readonly string[]): ClusterClaim => ({
        ...west,
        bundle: offer(signed(bundle(sequence, ['west 9']), signers)),
      });
      expect(refusalsOf(admit([anew(0, ['member'])], restored))).to.deep.equal([
        'west: bundle-older',
      ]);
      expect(refusalsOf(admit([anew(2, ['west 9'])], restored))).to.deep.equal([
        'west: bundle-not-vouched-for',
      ]);
      const back = admit([anew(2, ['member', 'west 9'])], restored);
      expect(rootsOf(back)).to.deep.equal(['west 9']);
      const evil = {
        ...west,
        bundle: offer(signed(bundle(3, ['evil']), ['member', 'evil'])),
      };
      expect(refusalsOf(admit([evil], back.memory))).to.deep.equal(['west: bundle-not-succeeding']);
    });
  });
});
