import { expect } from 'chai';
import { LIVENESS_TICK_MS, REPORT_FRESH_MS } from '../../src/cluster-agent/limits.ts';
import { ClusterLiveness } from '../../src/cluster-agent/liveness.ts';
import type { ProxyKey, ProxyReport } from '../../src/cluster-agent/proxies/proxy-reports.ts';
import type { ClusterClaim, Freshness } from '../../src/mesh/cluster.ts';
import { Table } from '../../src/mesh/collection.ts';
import { type ClusterName, parseWorkloadName } from '../../src/mesh/names.ts';
import { PATH_FAILURES, type PathState } from '../../src/mesh/path.ts';
import { requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import { config, endpoint, service } from '../mesh/mesh-nouns.ts';
import { silent } from '../support/data-plane.ts';

const WEST = 'west' as ClusterName;
const LOST: Freshness = { kind: 'stale', sinceMs: 1, reason: 'lease-expired' };
const LIVE: Freshness = { kind: 'live' };

describe("an agent's view of the other clusters", () => {
  let nowMs: number;
  let claims: Table<ClusterName, ClusterClaim>;
  let reports: Table<ProxyKey, ProxyReport>;
  let liveness: ClusterLiveness;
  let path: PathState['kind'] | undefined;

  const payments = (pods: number) =>
    service(
      'payments',
      Array.from({ length: pods }, (_, i) => endpoint('west', `payments-${i}`)),
    );
  const claim = (freshness: Freshness, pods = 4, network = 'west'): void =>
    claims.put(WEST, {
      config: config('west', { network }),
      bundle: { kind: 'missing', problem: 'not needed here' },
      exports: [payments(pods)],
      freshness,
    });
  const state = (kind: PathState['kind']): PathState => {
    if (kind === 'down') return { kind, sinceMs: nowMs, reason: PATH_FAILURES[0] };
    return kind === 'held'
      ? { kind, sinceMs: nowMs, answeringMs: nowMs }
      : { kind, sinceMs: nowMs };
  };
  /** Time passes; a gateway that has something to say says it. */
  const pass = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      nowMs += LIVENESS_TICK_MS;
      if (path !== undefined) {
        reports.put('gateway', {
          proxy: parseWorkloadName('gateway-east-0'),
          spiffeId: requireSpiffeId('spiffe://east.example/ns/x/sa/y'),
          atMs: nowMs,
          svid: { issuerSha256: '', notAfterMs: 0 },
          bundles: {},
          loads: [],
          paths: [
            {
              cluster: WEST,
              address: { host: '10.0.0.1', port: 15443 },
              state: state(path),
              lastAnswerMs: undefined,
              rttMs: undefined,
            },
          ],
        });
      }
      liveness.look();
    }
  };
  const verdict = (): string | undefined => liveness.verdicts.get(WEST)?.verdict.kind;
  const endpoints = (): number | undefined =>
    liveness.clusters.get(WEST)?.exports[0]?.endpoints.length;

  beforeEach(() => {
    nowMs = 1_000_000;
    path = undefined;
    claims = new Table('claims');
    reports = new Table('reports');
    claim(LIVE);
    liveness = new ClusterLiveness({
      own: config('east'),
      claims,
      reports,
      onVerdict: () => undefined,
      log: silent,
      now: () => nowMs,
    });
  });

  it('takes out a cluster that has neither lease nor path, and gives it back little by little', () => {
    claim(LOST);
    path = 'down';
    pass(10);
    expect(liveness.verdicts.get(WEST)).to.deep.include({ isServed: false });
    expect(verdict()).to.equal('dead');
    claim(LIVE);
    path = 'up';
    pass(1);
    expect(verdict()).to.equal('recovering');
    pass(30);
    expect(liveness.verdicts.get(WEST)).to.deep.include({ isServed: true, availability: 17 });
    pass(30);
    expect(liveness.verdicts.get(WEST)).to.deep.include({ isServed: true, availability: 100 });
  });

  it('keeps serving a cluster whose lease is lost while a path answers, for however long', () => {
    claim(LOST);
    path = 'up';
    pass(600);
    expect(verdict()).to.equal('stale');
    expect(endpoints()).to.equal(4);
  });

  it('keeps serving a cluster that it cannot reach while its agent is heard of', () => {
    path = 'down';
    pass(600);
    expect(verdict()).to.equal('unreachable');
    expect(liveness.verdicts.get(WEST)?.isServed).to.equal(true);
  });

  it('draws no conclusion from the silence of its own proxies', () => {
    path = 'down';
    pass(2);
    path = undefined;
    claim(LOST);
    nowMs += REPORT_FRESH_MS + 1;
    pass(60);
    expect(verdict()).to.equal('stale');
  });

  it('takes nothing for dead that its gateways are not needed for', () => {
    claim(LOST, 4, 'east');
    path = 'down';
    pass(60);
    expect(verdict()).to.equal('stale');
  });

  it('draws no conclusion from its own start', () => {
    claim({ kind: 'stale', sinceMs: 1, reason: 'loaded-from-disk' });
    path = 'down';
    pass(60);
    expect(verdict()).to.equal('stale');
  });

  it('lets a living agent scale down to nothing', () => {
    claim(LIVE, 0);
    pass(1);
    expect(endpoints()).to.equal(0);
    expect(liveness.heldWithdrawals()).to.equal(0);
  });

  it('holds what leaves while nobody speaks for it, until somebody does', () => {
    claim(LOST, 1);
    pass(1);
    expect(endpoints()).to.equal(4);
    expect(liveness.heldWithdrawals()).to.equal(1);
    claim(LIVE, 1);
    pass(1);
    expect(endpoints()).to.equal(1);
    expect(liveness.heldWithdrawals()).to.equal(0);
  });

  it('holds what leaves while nobody speaks for it, until it is dead', () => {
    claim(LOST, 1);
    path = 'down';
    pass(10);
    expect(verdict()).to.equal('dead');
    expect(endpoints()).to.equal(1);
  });

  it('holds a cluster that vanishes after its lease, and lets one go that leaves', () => {
    claim(LOST);
    claims.delete(WEST);
    expect(endpoints()).to.equal(4);
    claim(LIVE);
    claims.delete(WEST);
    expect(liveness.clusters.get(WEST)).to.equal(undefined);
  });
});
