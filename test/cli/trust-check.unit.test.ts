import { expect } from 'chai';
import { describe, it } from 'mocha';
import { type BundleFacts, type ClusterTrust, judgeTrust } from '../../src/cli/trust-material.ts';
import type { TrustDomain } from '../../src/mesh/spiffe-id.ts';
import { DAY_MS, NOW } from '../trust-federation/pki.ts';

const EAST = 'east.example' as TrustDomain;
const WEST = 'west.example' as TrustDomain;

const certificate = (sha256: string, notAfterMs: number) => ({
  sha256,
  name: sha256,
  notBeforeMs: NOW - DAY_MS,
  notAfterMs,
});
const bundle = (trustDomain: TrustDomain, more: Partial<BundleFacts> = {}): BundleFacts => ({
  trustDomain,
  sequence: 5,
  roots: [certificate(`${trustDomain}-root`, NOW + 3_000 * DAY_MS)],
  jwtKeys: [],
  revoked: 0,
  ...more,
});
const cluster = (
  trustDomain: TrustDomain,
  bundles: readonly BundleFacts[],
  more: Partial<ClusterTrust> = {},
): ClusterTrust => ({
  cluster: trustDomain.split('.')[0] ?? '',
  trustDomain,
  agentChain: [certificate('agent', NOW + 3_600_000), certificate('issuer', NOW + 300 * DAY_MS)],
  membershipChain: [certificate('member', NOW + 300 * DAY_MS)],
  bundles,
  ...more,
});
const problems = (clusters: readonly ClusterTrust[], nowMs = NOW): string[] =>
  judgeTrust(clusters, nowMs).map(each => `${each.cluster} ${each.kind}`);

const west = cluster(WEST, [bundle(WEST), bundle(EAST)]);
const east = cluster(EAST, [bundle(EAST), bundle(WEST)]);

describe('isthmus trust check', () => {
  it('finds nothing where everyone has everyone’s roots and they last', () => {
    expect(problems([east, west])).to.deep.equal([]);
  });

  it('finds a root that ends within 30 days, and none that ends a second later', () => {
    const ending = (leftMs: number) => {
      const roots = [certificate('old', NOW + leftMs)];
      return [
        cluster(EAST, [bundle(EAST, { roots }), bundle(WEST)]),
        cluster(WEST, [bundle(WEST), bundle(EAST, { roots })]),
      ];
    };
    expect(problems(ending(30 * DAY_MS + 1_000))).to.deep.equal([]);
    expect(problems(ending(30 * DAY_MS))).to.deep.equal(['east expires-soon']);
    expect(problems(ending(DAY_MS))).to.deep.equal(['east expires-soon']);
    expect(problems(ending(-1))).to.deep.equal(['east expired']);
  });

  it('finds a membership that nobody renewed, and an agent that serves what has ended', () => {
    const membershipChain = [certificate('member', NOW + 20 * DAY_MS)];
    expect(problems([cluster(EAST, east.bundles, { membershipChain }), west])).to.deep.equal([
      'east expires-soon',
    ]);
    const agentChain = [certificate('agent', NOW - 1), certificate('issuer', NOW + DAY_MS)];
    expect(problems([cluster(EAST, east.bundles, { agentChain }), west])).to.deep.equal([
      'east expired',
    ]);
  });

  it('finds who has an older bundle, another one, or none', () => {
    const of = (held: BundleFacts[]) => problems([cluster(EAST, [bundle(EAST), ...held]), west]);
    expect(of([bundle(WEST, { sequence: 4 })])).to.deep.equal(['east behind']);
    expect(of([bundle(WEST, { roots: [certificate('other', NOW + 99 * DAY_MS)] })])).to.deep.equal([
      'east mismatch',
    ]);
    expect(of([bundle(WEST, { sequence: 6 })])).to.deep.equal(['east mismatch']);
    expect(of([])).to.deep.equal(['east unknown']);
  });
});
