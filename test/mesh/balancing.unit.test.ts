import { expect } from 'chai';
import { chooseEndpoint, chooseTarget, type Target } from '../../src/mesh/balancing.ts';
import type { ClusterName, WorkloadName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import type { SpiffeId, TrustDomain } from '../../src/mesh/spiffe-id.ts';
import type { UpstreamEndpoint } from '../../src/mesh/upstream.ts';

function endpoint(
  name: string,
  priority: number,
  ports: readonly number[] = [1],
): UpstreamEndpoint {
  return {
    hash: name as EndpointHash,
    workload: name as WorkloadName,
    cluster: 'west' as ClusterName,
    trustDomain: 'west.example' as TrustDomain,
    spiffeId: 'spiffe://west.example/ns/shop/sa/payments' as SpiffeId,
    locality: { region: 'us-west', zone: '' },
    priority,
    weight: 1,
    availability: 100,
    addresses: ports.map(port => ({ host: '127.0.0.1', port })),
    path: 'direct',
    sni: name,
  };
}

const A = endpoint('a', 0);
const B = endpoint('b', 0);
const FAR = endpoint('far', 2);

function choices(
  endpoints: readonly UpstreamEndpoint[],
  ejected: string,
  excluded: string,
): string[] {
  return [0, 1, 2, 3].map(
    turn =>
      chooseEndpoint(endpoints, {
        isEjected: hash => ejected.includes(hash),
        excluded: new Set(excluded.split(',') as EndpointHash[]),
        turn,
      })?.workload ?? 'none',
  );
}

describe('the endpoint of a call', () => {
  for (const [title, endpoints, ejected, excluded, expected] of [
    ['is none of no endpoints', [], '', '', 'none none none none'],
    ['is each of the best level in turn', [A, FAR, B], '', '', 'a b a b'],
    ['is never an ejected one while another of its level is left', [A, B, FAR], 'a', '', 'b b b b'],
    ['is of the next level when the best is ejected', [A, B, FAR], 'a,b', '', 'far far far far'],
    ['is of the best level when all are ejected (panic)', [A, B, FAR], 'a,b,far', '', 'a b a b'],
    ['is not one that the call has tried', [A, B, FAR], '', 'a', 'b b b b'],
    ['is an ejected one when nothing else is left to try', [A, B], 'b', 'a', 'b b b b'],
    ['is none when all were tried', [A, B], '', 'a,b', 'none none none none'],
  ] as const) {
    it(title, () => {
      expect(choices(endpoints, ejected, excluded).join(' ')).to.equal(expected);
    });
  }
});

describe('the target of an attempt', () => {
  const healthy = { isEjected: () => false };

  function attempts(endpoints: readonly UpstreamEndpoint[], turn: number): string[] {
    const tried: Target[] = [];
    for (;;) {
      const target = chooseTarget(endpoints, tried, { ...healthy, turn });
      if (target === undefined) break;
      tried.push(target);
    }
    return tried.map(({ endpoint: { workload }, address }) => `${workload}:${address.port}`);
  }

  it('is another endpoint first, then another address, and each only once', () => {
    const endpoints = [endpoint('a', 0, [1, 2]), endpoint('b', 0, [1, 2])];
    expect(attempts(endpoints, 0)).to.deep.equal(['a:1', 'b:1', 'a:2', 'b:2']);
  });

  it('is every pair of endpoint and address in turn over the calls', () => {
    const endpoints = [endpoint('a', 0, [1, 2]), endpoint('b', 0, [1, 2])];
    const firsts = [0, 1, 2, 3].map(turn => attempts(endpoints, turn)[0]);
    expect(firsts).to.have.members(['a:1', 'b:1', 'a:2', 'b:2']);
  });

  it('is none of no endpoints', () => {
    expect(attempts([], 0)).to.deep.equal([]);
  });
});
