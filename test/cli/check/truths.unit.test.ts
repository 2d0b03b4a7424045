/** Each truth of `isthmus check` broken by one fact, beside a fleet in which all of them hold. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import type {
  AgentFact,
  Facts,
  KnownCluster,
  ProcessFact,
  ProxyFact,
} from '../../../src/cli/check/facts.ts';
import { absentClusters, judge } from '../../../src/cli/check/truths.ts';
import type { LivenessStatus } from '../../../src/cli/liveness-status.ts';

const NOW = 10_000_000;
const HOUR = 3_600_000;
const EXPORTS = [{ namespace: 'shop', name: 'payments', exportTo: 'all' as const }];

const process = (name: string, cluster?: string, says = {}): ProcessFact => ({
  name,
  configFile: `clusters/${name}.yaml`,
  admin: '127.0.0.1:1',
  cluster,
  problem: undefined,
  aheadMs: 3,
  says: {
    version: '0.1.0',
    node: '24.1.0',
    pid: 1,
    nowMs: NOW,
    startedMs: 0,
    stateDir: '/state',
    warnings: [],
    ...says,
  },
});
const known = (name: string, local: boolean, rest: Partial<KnownCluster> = {}): KnownCluster => ({
  name,
  local,
  freshness: { kind: 'live' },
  bundle: { trustDomain: `${name}.example`, sequence: 3 },
  exports: EXPORTS,
  ...rest,
});
const CONNECTED = { connected: true, sinceMs: 0, leaseExpiresMs: NOW + 8_000, notices: [] };
const agent = (cluster: string, other: string, rest: Partial<AgentFact> = {}): AgentFact => ({
  name: `${cluster}/agent`,
  cluster,
  registry: CONNECTED,
  clusters: [known(cluster, true), known(other, false)],
  refusals: [],
  proxies: [{ name: 'web-0', connected: true, sinceMs: 0 }],
  ...rest,
});
const proxy = (rest: Partial<ProxyFact> = {}): ProxyFact => ({
  name: 'east/web',
  cluster: 'east',
  link: { connected: true, sinceMs: 0, source: 'agent' },
  identity: {
    spiffeId: 'spiffe://east.example/ns/shop/sa/web',
    notBeforeMs: NOW,
    notAfterMs: NOW + HOUR,
  },
  bundles: [{ trustDomain: 'west.example', sequence: 3 }],
  held: {},
  ...rest,
});

const seenFrom = (observer: string, verdict: LivenessStatus['verdict']): LivenessStatus => ({
  observer,
  cluster: 'west',
  verdict,
  sinceMs: NOW,
  lease: 'live',
  pathsAnswering: 0,
  pathsProbed: 2,
  heldWithdrawals: 0,
});

const HEALTHY: Facts = {
  processes: [process('registry'), process('east/agent', 'east'), process('west/agent', 'west')],
  stores: [{ registry: 'registry', kind: 'etcd' }],
  agents: [agent('east', 'west'), agent('west', 'east')],
  proxies: [proxy()],
  gateways: [{ name: 'east/gateway', address: '127.0.0.1:2', problem: undefined }],
  liveness: [seenFrom('east', 'serving')],
};

/** `<truth>: <subject>` of every finding. */
function broken(change: Partial<Facts>): string[] {
  return judge({ ...HEALTHY, ...change }, NOW).flatMap(({ name, findings }) =>
    findings.map(({ subject }) => `${name}: ${subject}`),
  );
}

/** With east's agent changed. */
function withEast(change: Partial<AgentFact>): string[] {
  return broken({ agents: [agent('east', 'west', change), agent('west', 'east')] });
}

describe('isthmus check', () => {
  it('holds every truth of a healthy fleet', () => {
    expect(broken({})).to.deep.equal([]);
  });

  it('gives a cause and a next step with each finding', () => {
    const facts = { ...HEALTHY, stores: [{ registry: 'r', kind: 'etcd', outage: 'no leader' }] };
    const [finding] = judge(facts, NOW).flatMap(({ findings }) => findings);
    expect(finding?.cause).to.contain('no leader');
    expect(finding?.next).to.contain('etcdctl');
    const frozen = {
      ...HEALTHY,
      stores: [{ registry: 'r', kind: 'etcd', outage: 'x', frozen: 'older' }],
    };
    const [rewound] = judge(frozen, NOW).flatMap(({ findings }) => findings);
    expect(rewound?.next).to.contain('isthmus unfreeze');
  });

  const REGISTRY = 'the registry is reachable and follows its store';
  const LEASE = 'every agent holds its lease';
  const cases: readonly (readonly [string, () => string[], readonly string[]])[] = [
    [
      'a process that does not answer',
      () =>
        broken({
          processes: [
            process('east/agent', 'east'),
            { ...process('east/gateway', 'east'), problem: 'refused', says: undefined },
          ],
        }),
      ['every process answers and is ready: east/gateway'],
    ],
    [
      'a registry without its store',
      () => broken({ stores: [{ registry: 'registry', kind: 'etcd', outage: 'gone' }] }),
      [`${REGISTRY}: registry`],
    ],
    [
      'a registry whose store has gone back in time',
      () =>
        broken({ stores: [{ registry: 'registry', kind: 'etcd', outage: 'x', frozen: 'older' }] }),
      [`${REGISTRY}: registry`],
    ],
    [
      'an agent without a registry, once, and not again as stale clusters',
      () =>
        withEast({
          registry: { ...CONNECTED, connected: false },
          clusters: [
            known('east', true),
            known('west', false, {
              freshness: { kind: 'stale', sinceMs: 0, reason: 'registry-unreachable' },
            }),
          ],
        }),
      [`${REGISTRY}: east/agent`],
    ],
    [
      'a lease that has run out',
      () => withEast({ registry: { ...CONNECTED, leaseExpiresMs: NOW - 1 } }),
      [`${LEASE}: east/agent`],
    ],
    [
      'an agent that never had a lease',
      () => withEast({ registry: { connected: true, sinceMs: 0, notices: [] } }),
      [`${LEASE}: east/agent`],
    ],
    [
      'a cluster that is stale for another',
      () =>
        withEast({
          clusters: [
            known('east', true),
            known('west', false, {
              freshness: { kind: 'stale', sinceMs: 0, reason: 'lease-expired' },
            }),
          ],
        }),
      ['every agent knows every other cluster, freshly: east/agent'],
    ],
    [
      'an old bundle at an agent',
      () =>
        withEast({
          clusters: [
            known('east', true),
            known('west', false, { bundle: { trustDomain: 'west.example', sequence: 2 } }),
          ],
        }),
      ['every bundle is the newest, everywhere: east/agent'],
    ],
    [
      'an old bundle at a proxy',
      () =>
        broken({ proxies: [proxy({ bundles: [{ trustDomain: 'west.example', sequence: 2 }] })] }),
      ['every bundle is the newest, everywhere: east/web'],
    ],
    [
      'a bundle that is not believed',
      () => withEast({ refusals: [{ cluster: 'west', kind: 'bundle-older', message: 'old' }] }),
      ['every bundle is the newest, everywhere: east/agent'],
    ],
    [
      'an endpoint that is not believed',
      () =>
        withEast({
          refusals: [{ cluster: 'west', kind: 'endpoint-of-other-domain', message: 'no' }],
        }),
      ['exports are accepted: east/agent'],
    ],
    [
      'an export that an importer does not have',
      () => withEast({ clusters: [known('east', true), known('west', false, { exports: [] })] }),
      ['exports are accepted: east/agent'],
    ],
    [
      'an export that waits to be approved, once for both sides, and not again at its importers',
      () => {
        const why = { kind: 'export-waiting', subject: 'shop/payments', message: 'not shown' };
        const registry = { ...CONNECTED, notices: [why] };
        const west = known('west', false, { exports: [] });
        const clusters = [known('east', true), west];
        return broken({
          agents: [
            agent('east', 'west', { registry, clusters }),
            agent('west', 'east', { registry }),
          ],
        });
      },
      ['exports are accepted: shop/payments'],
    ],
    [
      'nothing in an export that is for other clusters',
      () => {
        const exports = [{ namespace: 'shop', name: 'payments', exportTo: ['eu'] }];
        const west = agent('west', 'east', {
          clusters: [known('west', true, { exports }), known('east', false)],
        });
        const east = agent('east', 'west', {
          clusters: [known('east', true), known('west', false, { exports: [] })],
        });
        return broken({ agents: [east, west] });
      },
      [],
    ],
    [
      'another agent that claims to be the same cluster',
      () => {
        const rival = { kind: 'rival-instance', subject: 'east', message: 'another agent' };
        return withEast({ registry: { ...CONNECTED, notices: [rival] } });
      },
      [`${LEASE}: east/agent`],
    ],
    [
      'nothing in a publication that a registry without its store puts off',
      () =>
        withEast({
          registry: {
            ...CONNECTED,
            publication: { code: 'STORE_UNAVAILABLE', message: 'no leader' },
          },
        }),
      [],
    ],
    [
      'a publication that the registry refuses',
      () =>
        withEast({
          registry: {
            ...CONNECTED,
            publication: { code: 'LIMIT_EXCEEDED', message: 'too many' },
          },
        }),
      ['exports are accepted: east/agent'],
    ],
    [
      'a gateway that takes no connections',
      () => broken({ gateways: [{ name: 'east/gateway', address: 'a', problem: 'refused' }] }),
      ['every gateway answers: east/gateway'],
    ],
    [
      'a gateway that takes connections, and answers no other cluster',
      () => broken({ liveness: [seenFrom('east', 'unreachable')] }),
      ['every gateway answers: west/gateway'],
    ],
    [
      'a gateway that takes no connections, once, and not again as a cluster that others cannot reach',
      () =>
        broken({
          gateways: [{ name: 'west/gateway', address: 'a', problem: 'refused' }],
          liveness: [seenFrom('east', 'dead')],
        }),
      ['every gateway answers: west/gateway'],
    ],
    [
      'a proxy without an agent',
      () =>
        broken({ proxies: [proxy({ link: { connected: false, sinceMs: 0, source: 'disk' } })] }),
      ['every proxy is connected and refuses nothing: east/web'],
    ],
    [
      'a proxy that keeps what its agent no longer names',
      () => broken({ proxies: [proxy({ held: { cart: [1, 2] } })] }),
      ['every proxy is connected and refuses nothing: east/web'],
    ],
    [
      'a proxy that refuses its configuration',
      () =>
        withEast({
          proxies: [
            {
              name: 'web-0',
              connected: true,
              sinceMs: 0,
              nack: { type: 'cluster', message: 'unknown field' },
            },
          ],
        }),
      ['every proxy is connected and refuses nothing: east/web-0'],
    ],
    [
      'a certificate long past the time of its renewal',
      () =>
        broken({
          proxies: [
            proxy({
              identity: { spiffeId: 's', notBeforeMs: NOW - HOUR, notAfterMs: NOW + HOUR / 4 },
            }),
          ],
        }),
      ['no certificate is near its end: east/web'],
    ],
    [
      'an expired certificate',
      () =>
        broken({
          proxies: [
            proxy({ identity: { spiffeId: 's', notBeforeMs: NOW - HOUR, notAfterMs: NOW - 1 } }),
          ],
        }),
      ['no certificate is near its end: east/web'],
    ],
    [
      'a clock that is half a minute behind',
      () => broken({ processes: [{ ...process('east/agent', 'east'), aheadMs: -30_000 }] }),
      ['clocks agree: east/agent'],
    ],
    [
      'a process of another version',
      () =>
        broken({
          processes: [...HEALTHY.processes, process('east/web', 'east', { version: '0.2.0' })],
        }),
      ['versions are compatible and supported: east/web'],
    ],
    [
      'a state directory that others can enter',
      () =>
        broken({
          processes: [process('east/agent', 'east', { stateDirProblem: 'mode 0755' })],
        }),
      ['state directories are private: east/agent'],
    ],
  ];
  for (const [what, find, expected] of cases) {
    it(`finds ${what}`, () => {
      expect(find()).to.deep.equal(expected);
    });
  }

  it('only warns of a Node.js that gets no security fixes', () => {
    const facts = {
      ...HEALTHY,
      processes: [process('east/agent', 'east', { warnings: ['Node 20 is old'] })],
    };
    const truth = judge(facts, NOW).find(({ findings }) => findings.length > 0);
    expect(truth?.holds).to.equal(true);
    expect(truth?.findings[0]?.warning).to.equal(true);
  });

  it('leaves out a configured cluster of which nothing runs, but not one that others know', () => {
    const down = (name: string, cluster: string): ProcessFact => ({
      ...process(name, cluster),
      problem: 'refused',
      says: undefined,
    });
    const facts = { ...HEALTHY, processes: [...HEALTHY.processes, down('eu/agent', 'eu')] };
    expect(absentClusters(facts)).to.deep.equal(['eu']);
    expect(judge(facts, NOW).every(({ holds }) => holds)).to.equal(true);
    const lost = { ...HEALTHY, processes: [process('registry'), down('west/agent', 'west')] };
    expect(absentClusters(lost)).to.deep.equal([]);
    expect(judge(lost, NOW)[0]?.findings.map(({ subject }) => subject)).to.deep.equal([
      'west/agent',
    ]);
  });
});
