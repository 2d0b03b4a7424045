/** What proves a step of a rollover, and who is named when it is not. */

import { expect } from 'chai';
import type { Freshness } from '../../src/mesh/cluster.ts';
import { parseClusterName, parseWorkloadName } from '../../src/mesh/names.ts';
import { ROLLOVER_STEPS, type Rollover, type RolloverStep } from '../../src/mesh/rollover.ts';
import { type Gate, gateOf, unprovenOf } from '../../src/mesh/rollover-gate.ts';
import type { RootId } from '../../src/mesh/root-slots.ts';
import { parseTrustDomain, requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import {
  LAGGARDS_MAX,
  type ProxyTrust,
  type TrustAck,
  trustAcks,
} from '../../src/mesh/trust-acks.ts';

const EAST = parseClusterName('east');
const WEST = parseClusterName('west');
const DOMAIN = parseTrustDomain('east.example');
const LIVE: Freshness = { kind: 'live' };
const proxy = (name: string, sequence?: number): ProxyTrust => ({
  proxy: parseWorkloadName(name),
  bundles: sequence === undefined ? {} : { [DOMAIN]: sequence },
  lastHeardMs: 5,
});
const unheard: ProxyTrust = {
  proxy: requireSpiffeId('spiffe://west.example/ns/shop/sa/cart'),
  bundles: undefined,
  lastHeardMs: 7,
};

function ackOf(offered: number, ...proxies: ProxyTrust[]): TrustAck | undefined {
  return trustAcks([{ trustDomain: DOMAIN, sequence: offered, sinceMs: 3 }], proxies)[0];
}

function gate(
  step: RolloverStep,
  west: { readonly ack: TrustAck | undefined; readonly freshness?: Freshness },
  undrained: { proxy: string; lacks: string; sinceMs: number }[] = [],
): Gate {
  const rollover: Rollover = {
    from: 'aa' as RootId,
    to: 'bb' as RootId,
    step,
    sinceMs: 1,
    auto: false,
    history: [],
  };
  const clusters = [
    { cluster: EAST, freshness: LIVE, ack: ackOf(4, proxy('web-0', 4)) },
    { cluster: WEST, freshness: west.freshness ?? LIVE, ack: west.ack },
  ];
  return gateOf(rollover, { trustDomain: DOMAIN, sequence: 4, clusters, undrained }, EAST);
}

describe("the gate of a rollover's step", () => {
  it('is proven once every proxy of every cluster has applied the bundle, or a later one', () => {
    for (const sequence of [4, 5]) {
      const { lacking, progress } = gate('announced', {
        ack: ackOf(sequence, proxy('a', sequence), proxy('b', sequence)),
      });
      expect(lacking).to.deep.equal([]);
      expect(progress).to.deep.equal([
        { cluster: EAST, have: 1, of: 1 },
        { cluster: WEST, have: 2, of: 2 },
      ]);
    }
  });

  it('is proven where a cluster has no proxies', () => {
    expect(gate('announced', { ack: ackOf(4) }).lacking).to.deep.equal([]);
  });

  const cases: [
    title: string,
    ack: TrustAck | undefined,
    proxy: string,
    lacks: RegExp,
    sinceMs: number,
  ][] = [
    [
      'a proxy with an older bundle',
      ackOf(4, proxy('a', 4), proxy('b', 3)),
      'b',
      /bundle 3, not 4/,
      3,
    ],
    ['a proxy without a bundle', ackOf(4, proxy('b')), 'b', /bundle none/, 3],
    [
      'a proxy that never reported',
      ackOf(4, unheard),
      'spiffe://west.example/ns/shop/sa/cart',
      /not reported/,
      7,
    ],
    [
      'an agent that has not got it',
      ackOf(3, proxy('a', 3)),
      'cluster-agent',
      /bundle 3, not 4/,
      1,
    ],
    ['an agent that says nothing', undefined, 'cluster-agent', /reports no bundle/, 1],
  ];
  for (const [title, ack, name, lacks, sinceMs] of cases) {
    for (const step of ['announced', 'trusted', 'active', 'revoked'] as const) {
      it(`names ${title} at "${step}"`, () => {
        const { lacking } = gate(step, { ack });
        expect(lacking).to.have.length(1);
        expect(lacking[0]).to.include({ cluster: WEST, proxy: name, sinceMs });
        expect(lacking[0]?.lacks).to.match(lacks);
      });
    }
  }

  it('says since when a cluster is out of touch, and counts what it had proven', () => {
    const freshness: Freshness = { kind: 'stale', sinceMs: 9, reason: 'lease-expired' };
    const [laggard] = gate('announced', { ack: ackOf(3), freshness }).lacking;
    expect(laggard).to.include({ proxy: 'cluster-agent', sinceMs: 9 });
    expect(laggard?.lacks).to.include('out of touch');
    expect(gate('announced', { ack: ackOf(4, proxy('a', 4)), freshness }).lacking).to.be.empty;
  });

  it('is, for draining, that no certificate of the old root is alive; acknowledgements do not count', () => {
    const holder = { proxy: 'spiffe://east.example/x', lacks: 'has a certificate', sinceMs: 2 };
    for (const step of ['tainted', 'drained'] as const) {
      expect(gate(step, { ack: undefined }).lacking).to.deep.equal([]);
      expect(gate(step, { ack: ackOf(4) }, [holder]).lacking).to.deep.equal([
        { ...holder, cluster: EAST },
      ]);
    }
  });

  it('is told in one line, with the first laggard and how many more', () => {
    const two = gate('announced', { ack: ackOf(4, proxy('a', 3), proxy('b', 2)) });
    expect(unprovenOf(two)).to.equal('a in west has bundle 3, not 4 (and 1 more)');
    expect(unprovenOf(gate('announced', { ack: ackOf(4) }))).to.equal(undefined);
  });

  it('names twenty laggards of a cluster at most, and counts all', () => {
    const many = Array.from({ length: 50 }, (_, at) => proxy(`p-${at}`, 3));
    const { lacking, progress } = gate('announced', { ack: ackOf(4, ...many) });
    expect(lacking).to.have.length(LAGGARDS_MAX);
    expect(progress[1]).to.include({ have: 0, of: 50 });
  });

  it('exists for every step', () => {
    for (const step of ROLLOVER_STEPS)
      expect(gate(step, { ack: ackOf(4) }).condition).to.not.be.empty;
  });
});
