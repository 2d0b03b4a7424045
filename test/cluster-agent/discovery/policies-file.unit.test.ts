/** The policies file: what it says, and every way in which it can be wrong. */

import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parsePoliciesFile } from '../../../src/cluster-agent/discovery/policies-file.ts';
import { isMeshError } from '../../../src/mesh/errors.ts';
import { DEFAULT_SERVICE_POLICY } from '../../../src/mesh/failover-policy.ts';
import { parseNamespace, parseServiceName, serviceKey } from '../../../src/mesh/names.ts';

function parse(entry: string) {
  return new Map(
    parsePoliciesFile(
      `policies:\n  - { namespace: shop, service: cart${entry} }\n`,
      'policies.yaml',
    ),
  ).get(serviceKey(parseNamespace('shop'), parseServiceName('cart')));
}

function problemsOf(text: string): string[] {
  try {
    parsePoliciesFile(text, 'policies.yaml');
  } catch (error) {
    if (isMeshError(error, 'CONFIG_INVALID')) {
      return error.message
        .split('\n')
        .slice(1)
        .map(line => line.trim());
    }
    throw error;
  }
  return [];
}

describe('the policies file', () => {
  it("of the demo's east is right", () => {
    const text = readFileSync('clusters/east/policies.yaml', 'utf8');
    expect(parsePoliciesFile(text, 'policies.yaml')).to.not.deep.equal([]);
  });

  it('of the page about failover is that of the demo', () => {
    const page = readFileSync('docs/failover.md', 'utf8');
    const example = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
    const demo = readFileSync('clusters/east/policies.yaml', 'utf8');
    expect(parsePoliciesFile(example, 'failover.md')).to.deep.equal(
      parsePoliciesFile(demo, 'policies.yaml'),
    );
  });

  it('leaves what it does not say as it is for services without a policy', () => {
    expect(parse('')).to.deep.equal(DEFAULT_SERVICE_POLICY);
  });

  it('says how calls are spread and timed, and when endpoints are ejected', () => {
    const policy = parse(
      ', balancing: least-request, timeout: 5s, tryTimeout: 500ms, panicBelow: 0%, outliers: { ejectAfter: 3, atMost: 20% }',
    );
    expect(policy?.upstream).to.deep.equal({
      balancing: 'least-request',
      timeoutMs: 5_000,
      tryTimeoutMs: 500,
      panicBelowPercent: 0,
      ejectAfterFailures: 3,
      ejectedPercentMax: 20,
    });
  });

  it('says where calls go, in groups of clusters or regions with weights', () => {
    const policy = parse(
      ', failover: { overprovisioning: 120%, groups: [{ clusters: { east: 3, west: 1 }, spillBelow: 50% }, { regions: { eu-west: 1 } }] }',
    );
    expect(policy?.failover).to.deep.equal({
      overprovisioning: 120,
      groups: [
        {
          by: 'cluster',
          weights: new Map([
            ['east', 3],
            ['west', 1],
          ]),
          spillBelowPercent: 50,
        },
        { by: 'region', weights: new Map([['eu-west', 1]]), spillBelowPercent: undefined },
      ],
    });
  });

  it('reports every problem at once', () => {
    expect(
      problemsOf(`policies:
  - namespace: shop
    service: cart
    balancng: least-request
    timeout: 5
    panicBelow: 0.5
  - namespace: shop
    service: other
    failover: { overprovisioning: 90%, groups: [] }
`),
    ).to.deep.equal([
      'policies.0.timeout: must be string, found "5"',
      'policies.0.panicBelow: must be string, found "0.5"',
      'policies.0.balancng: unknown key, did you mean "balancing"?',
      'policies.1.failover.overprovisioning: must be a percentage from 100% to 1000%, found "90%"',
      'policies.1.failover.groups: must have at least one group, found a list of 0',
    ]);
  });

  for (const [group, problem] of [
    ['{}', 'must have clusters or regions, and not both'],
    ['{ clusters: { a: 1 }, regions: { b: 1 } }', 'must have clusters or regions, and not both'],
    ['{ clusters: {} }', 'must name at least one cluster or region'],
  ] as const) {
    it(`has no group such as ${group}`, () => {
      const problems = problemsOf(
        `policies: [{ namespace: shop, service: cart, failover: { groups: [${group}] } }]`,
      );
      expect(problems).to.deep.equal([`policies.0.failover.groups.0: ${problem}, found a mapping`]);
    });
  }

  it('has no weight of nothing', () => {
    expect(
      problemsOf(
        'policies: [{ namespace: shop, service: cart, failover: { groups: [{ clusters: { a: 0 } }] } }]',
      ),
    ).to.deep.equal([
      'policies.0.failover.groups.0.clusters.a: must be at least 1; leave it out to send it nothing, found "0"',
    ]);
  });

  it('names a service once, and a cluster or region in one group', () => {
    const policy =
      '{ namespace: shop, service: cart, failover: { groups: [{ clusters: { a: 1 } }, { clusters: { a: 1 } }] } }';
    expect(problemsOf(`policies: [${policy}, ${policy}]`)).to.deep.equal([
      'policies.0.failover.groups.1.clusters.a: must stand in one group only, found "a"',
      'policies.1.service: must be another service: "shop/cart" has a policy already, found "cart"',
      'policies.1.failover.groups.1.clusters.a: must stand in one group only, found "a"',
    ]);
  });
});
