import { expect } from 'chai';
import { type Intent, intentKey } from '../../src/mesh/intent.ts';
import type { ClusterName, ServiceKey } from '../../src/mesh/names.ts';
import { endpointHash } from '../../src/mesh/service.ts';
import { trustDomainOf } from '../../src/mesh/spiffe-id.ts';
import { steer, steeringAt } from '../../src/mesh/steering.ts';
import {
  DEFAULT_POLICY,
  type Upstream,
  type UpstreamEndpoint,
  upstreamName,
} from '../../src/mesh/upstream.ts';
import { endpoint } from './mesh-nouns.ts';

const WEST = 'west' as ClusterName;
const CART = 'shop/cart' as ServiceKey;
const said = { reason: 'a test', atMs: 0, by: 'ada' };

function drainOf(cluster: string, startMs: number, overMs: number): Intent {
  return { kind: 'drain', cluster: cluster as ClusterName, startMs, overMs, ...said };
}

function failoverTo(to: string, untilMs: number): Intent {
  const service = { namespace: 'shop', name: 'cart' } as Pick<
    Intent & { kind: 'failover' },
    'namespace' | 'name'
  >;
  return { kind: 'failover', ...service, to: to as ClusterName, untilMs, ...said };
}

function upstream(...places: readonly (readonly [cluster: string, priority: number])[]): Upstream {
  const host = 'cart.shop.svc.clusterset.local';
  return {
    name: upstreamName(host, 80),
    host,
    port: 80,
    protocol: 'http',
    policy: DEFAULT_POLICY,
    overprovisioning: [100, 200],
    endpoints: places.map(([cluster, priority]) => endpointIn(cluster, priority)),
  };
}

function endpointIn(name: string, priority: number): UpstreamEndpoint {
  const { address, ...rest } = endpoint(name, 'cart-0');
  return {
    ...rest,
    hash: endpointHash(rest.cluster, rest.workload),
    trustDomain: trustDomainOf(rest.spiffeId),
    priority,
    weight: 1,
    availability: 100,
    addresses: [address],
    path: 'gateway',
    sni: 'unused',
  };
}

function placesOf({ endpoints }: Upstream): [string, number, number][] {
  return endpoints.map(each => [each.cluster, each.priority, each.availability]);
}

describe('a drain', () => {
  for (const [elapsedMs, percent] of [
    [-1, 100],
    [0, 100],
    [4_999, 100],
    [5_000, 95],
    [50_000, 50],
    [99_999, 5],
    [100_000, 0],
    [1_000_000, 0],
  ] as const) {
    it(`over 100 s leaves ${percent} % after ${elapsedMs / 1000} s`, () => {
      const steering = steeringAt([drainOf('west', 7_000, 100_000)], 7_000 + elapsedMs);
      expect(steering.availability.get(WEST)).to.equal(percent);
    });
  }

  it('at once leaves nothing, from its first moment', () => {
    const steering = steeringAt([drainOf('west', 7_000, 0)], 7_000);
    expect(steering.availability.get(WEST)).to.equal(0);
  });

  it('that is a rehearsal ends by itself, and says when', () => {
    const rehearsal = { ...drainOf('west', 0, 0), untilMs: 100 } as Intent;
    expect(steeringAt([rehearsal], 99)).to.have.property('nextChangeMs', 100);
    expect(steeringAt([rehearsal], 100).availability.size).to.equal(0);
  });

  it('says when its next step is due, until there is none', () => {
    const drain = drainOf('west', 7_000, 100_000);
    const at: (number | undefined)[] = [];
    for (let nowMs: number | undefined = 7_000; nowMs !== undefined; ) {
      nowMs = steeringAt([drain], nowMs).nextChangeMs;
      at.push(nowMs);
    }
    expect(at).to.have.length(21);
    expect(at.slice(0, 2)).to.deep.equal([12_000, 17_000]);
    expect(at.slice(-2)).to.deep.equal([107_000, undefined]);
  });

  it("takes from the drained cluster's endpoints alone, in every level", () => {
    const steering = steeringAt([drainOf('west', 0, 100)], 50);
    const steered = steer(upstream(['east', 0], ['west', 0], ['west', 1]), CART, steering);
    expect(placesOf(steered)).to.deep.equal([
      ['east', 0, 100],
      ['west', 0, 50],
      ['west', 1, 50],
    ]);
  });
});

describe('a failover', () => {
  it('puts its cluster first and the others behind it, in their order and with their factors', () => {
    const steering = steeringAt([failoverTo('west', 100)], 99);
    const steered = steer(upstream(['east', 0], ['eu', 1], ['west', 1]), CART, steering);
    expect(placesOf(steered)).to.deep.equal([
      ['west', 0, 100],
      ['east', 1, 100],
      ['eu', 2, 100],
    ]);
    expect(steered.overprovisioning).to.deep.equal([140, 100, 200]);
  });

  it('skips no level when one was of its cluster alone', () => {
    const steering = steeringAt([failoverTo('east', 100)], 99);
    const steered = steer(upstream(['east', 0], ['west', 1]), CART, steering);
    expect(placesOf(steered).map(([, priority]) => priority)).to.deep.equal([0, 1]);
  });

  it('ends by itself, and says when', () => {
    const intents = [failoverTo('west', 100)];
    expect(steeringAt(intents, 99).nextChangeMs).to.equal(100);
    expect(steeringAt(intents, 100).failovers.size).to.equal(0);
  });

  it('changes nothing for another service, or to a cluster that does not serve this one', () => {
    const before = upstream(['east', 0], ['west', 1]);
    const steering = steeringAt([failoverTo('west', 100)], 0);
    expect(steer(before, 'shop/other' as ServiceKey, steering)).to.deep.equal(before);
    expect(steer(before, CART, steeringAt([failoverTo('eu', 100)], 0))).to.deep.equal(before);
  });

  it('to a cluster that is drained gives it only what the drain leaves', () => {
    const steering = steeringAt([failoverTo('west', 100), drainOf('west', 0, 0)], 1);
    const steered = steer(upstream(['east', 0], ['west', 1]), CART, steering);
    expect(placesOf(steered)).to.deep.equal([
      ['west', 0, 0],
      ['east', 1, 100],
    ]);
  });
});

describe('intents of other kinds', () => {
  it('steer nothing', () => {
    const steering = steeringAt(
      [{ kind: 'cluster-revocation', cluster: WEST, statement: new Uint8Array(), ...said }],
      0,
    );
    expect(steering).to.deep.equal(steeringAt([], 0));
    expect(intentKey(drainOf('west', 0, 0))).to.equal('drain/west');
  });
});
