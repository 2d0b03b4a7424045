import { expect } from 'chai';
import type { PathState } from '../../../src/mesh/path.ts';
import { Gateways } from '../../../src/sidecar/outbound/gateways.ts';
import { Rotation } from '../../../src/sidecar/outbound/rotation.ts';
import { endpoint, NAME, POLICY } from '../../wire/xds/nouns.ts';

const ADDRESS = { host: '192.0.2.1', port: 15443 };
const DOWN: PathState = { kind: 'down', sinceMs: 0, reason: 'refused' };
const UP: PathState = { kind: 'up', sinceMs: 1 };

describe('the rotation of an upstream', () => {
  it('shows what probes have found, also while nobody calls', () => {
    const gateways = new Gateways(
      () => 0,
      () => 0,
    );
    const options = { gateways, now: () => 0, random: () => 0, onOut: () => undefined };
    const far = {
      ...endpoint('west', 0, [ADDRESS.host]),
      path: 'gateway',
      availability: 100,
    } as const;
    const near = { ...endpoint('east', 1, ['192.0.2.2']), availability: 100 };
    const rotation = new Rotation(
      {
        name: NAME,
        host: 'checkout.shop.svc.clusterset.local',
        port: 80,
        protocol: 'http',
        policy: POLICY,
        overprovisioning: [],
        endpoints: [far, near],
      },
      options,
    );
    const shares = (): unknown =>
      (rotation.describe(0) as { endpoints: { cluster: string; share: number }[] }).endpoints.map(
        ({ cluster, share }) => `${cluster} ${share.toFixed(1)}`,
      );
    expect(shares()).to.deep.equal(['west 1.0', 'east 0.0']);
    gateways.probed(ADDRESS, DOWN);
    expect(shares()).to.deep.equal(['west 0.0', 'east 1.0']);
    gateways.probed(ADDRESS, UP);
    // Back little by little.
    expect(shares()).to.deep.equal(['west 0.1', 'east 0.9']);
  });
});
