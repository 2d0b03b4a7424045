/** The brake of a proxy: what a sudden loss may take, and what an honest withdrawal always may. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseClusterName, parseWorkloadName } from '../../src/mesh/names.ts';
import { endpointHash } from '../../src/mesh/service.ts';
import { type Braked, brake, endpointKey, type SaidUpstream } from '../../src/mesh/shrinkage.ts';
import {
  DEFAULT_POLICY,
  type Upstream,
  type UpstreamEndpoint,
  type UpstreamName,
  upstreamName,
} from '../../src/mesh/upstream.ts';
import { endpoint } from '../wire/xds/nouns.ts';

const WEST = parseClusterName('west');
const hashOf = (workload: string) => endpointHash(WEST, parseWorkloadName(workload));
const NONE: ReadonlySet<string> = new Set();

function endpoints(...workloads: string[]): UpstreamEndpoint[] {
  return workloads.map(workload => ({
    ...endpoint('west', 0, ['a']),
    workload: parseWorkloadName(workload),
    hash: hashOf(workload),
  }));
}
function upstream(service: string, ...workloads: string[]): Upstream {
  const host = `${service}.shop.svc.clusterset.local`;
  return {
    name: upstreamName(host, 80),
    host,
    port: 80,
    protocol: 'http',
    policy: DEFAULT_POLICY,
    overprovisioning: [140],
    endpoints: endpoints(...workloads),
  };
}
function table(...upstreams: Upstream[]): Map<UpstreamName, Upstream> {
  return new Map(upstreams.map(each => [each.name, each]));
}
type Said = Map<UpstreamName, SaidUpstream | undefined>;
type Judged = ReadonlyMap<UpstreamName, Braked>;

/** Everything at once: what is in force and not said any more goes in as undefined. */
function brakeAll(
  inForce: Map<UpstreamName, Upstream>,
  said: Said,
  gone: ReadonlySet<string>,
): Judged {
  const unsaid = [...inForce.keys()].filter(name => !said.has(name));
  return brake(
    inForce,
    new Map([...said, ...unsaid.map(name => [name, undefined] as const)]),
    gone,
  );
}
function saying(...each: (readonly [Upstream, ...string[]])[]): Said {
  return new Map(
    each.map(([said, ...withdrawn]) => [
      said.name,
      { upstream: said, withdrawn: new Set(withdrawn.map(hashOf)) },
    ]),
  );
}
function names(judged: Judged, service: string): string[] | undefined {
  return judged
    .get(upstreamName(`${service}.shop.svc.clusterset.local`, 80))
    ?.upstream?.endpoints.map(({ workload }) => workload);
}
function inForce(judged: Judged): Map<UpstreamName, Upstream> {
  return table(...[...judged.values()].flatMap(each => each.upstream ?? []));
}
function held(judged: Judged): string[] {
  return [...judged.values()].flatMap(each => each.held).map(({ workload }) => workload);
}

describe('the brake of a proxy', () => {
  const four = table(upstream('cart', 'a', 'b', 'c', 'd'));

  it('lets half of an upstream go without a word', () => {
    const braked = brakeAll(four, saying([upstream('cart', 'a', 'b')]), NONE);
    expect(names(braked, 'cart')).to.deep.equal(['a', 'b']);
    expect(held(braked)).to.deep.equal([]);
  });

  it('keeps what more than half of an upstream lost without a word', () => {
    const braked = brakeAll(four, saying([upstream('cart', 'a')]), NONE);
    expect(names(braked, 'cart')).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(held(braked)).to.deep.equal(['b', 'c', 'd']);
  });

  it('lets everything go that was withdrawn on purpose', () => {
    const braked = brakeAll(four, saying([upstream('cart'), 'a', 'b', 'c', 'd']), NONE);
    expect(names(braked, 'cart')).to.deep.equal([]);
    expect(held(braked)).to.deep.equal([]);
  });

  it('judges only the part of a loss that was not withdrawn', () => {
    const braked = brakeAll(four, saying([upstream('cart'), 'a', 'b']), NONE);
    expect(names(braked, 'cart')).to.deep.equal([]);
  });

  it('takes newcomers at once beside what it keeps, so that a replacement loses nobody', () => {
    const braked = brakeAll(four, saying([upstream('cart', 'x', 'y')]), NONE);
    expect(names(braked, 'cart')).to.have.members(['a', 'b', 'c', 'd', 'x', 'y']);
  });

  it('gives up a kept endpoint that cannot be reached', () => {
    const said = saying([upstream('cart', 'a')]);
    const first = brakeAll(four, said, NONE);
    const name = upstream('cart').name;
    const gone = new Set(['b', 'c'].map(each => endpointKey(name, hashOf(each))));
    expect(names(brakeAll(inForce(first), said, gone), 'cart')).to.deep.equal(['a']);
  });

  it('keeps what it keeps for as long as the agent says the same', () => {
    const said = saying([upstream('cart', 'a')]);
    const again = brakeAll(inForce(brakeAll(four, said, NONE)), said, NONE);
    expect(names(again, 'cart')).to.deep.equal(['a', 'b', 'c', 'd']);
  });

  it('is done as soon as the agent names everything again', () => {
    const first = brakeAll(four, saying([upstream('cart', 'a')]), NONE);
    const healed = brakeAll(inForce(first), saying([upstream('cart', 'a', 'b', 'c', 'd')]), NONE);
    expect(held(healed)).to.deep.equal([]);
  });

  it('judges nothing but what it is asked about', () => {
    const both = table(upstream('cart', 'a'), upstream('web', 'b'));
    const judged = brake(both, saying([upstream('cart', 'a', 'b')]), NONE);
    expect([...judged.keys()]).to.deep.equal([upstream('cart').name]);
  });

  describe('over all upstreams', () => {
    const three = table(upstream('cart', 'a'), upstream('web', 'b'), upstream('pay', 'c'));

    it('keeps those that most of an empty set would take', () => {
      const braked = brakeAll(three, new Map(), NONE);
      expect([...inForce(braked).keys()]).to.have.length(3);
      expect(names(braked, 'cart')).to.deep.equal(['a']);
    });

    it('lets a minority go', () => {
      const braked = brakeAll(three, saying([upstream('cart', 'a')], [upstream('web', 'b')]), NONE);
      expect(names(braked, 'pay')).to.equal(undefined);
    });

    it('lets those go that had no endpoints left', () => {
      const empty = table(upstream('cart'), upstream('web'), upstream('pay', 'c'));
      const braked = brakeAll(empty, saying([upstream('pay', 'c')]), NONE);
      expect([...inForce(braked).keys()]).to.have.length(1);
    });

    it('gives up one whose endpoints cannot be reached', () => {
      const gone = new Set([endpointKey(upstream('cart').name, hashOf('a'))]);
      expect(names(brakeAll(three, new Map(), gone), 'cart')).to.equal(undefined);
      expect(names(brakeAll(three, new Map(), gone), 'web')).to.deep.equal(['b']);
    });
  });
});
