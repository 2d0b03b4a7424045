import { expect } from 'chai';
import { describe, it } from 'mocha';
import type { ClusterConfig } from '../../src/mesh/cluster.ts';
import type { ServicePolicy } from '../../src/mesh/failover-policy.ts';
import { importServices } from '../../src/mesh/imports.ts';
import { parseNamespace, parseServiceName, serviceKey } from '../../src/mesh/names.ts';
import {
  gatewayRoutes,
  hostsOf,
  importedUpstreams,
  localUpstreams,
  spillKey,
  type Vantage,
} from '../../src/mesh/outbound.ts';
import type { Endpoint } from '../../src/mesh/service.ts';
import { DEFAULT_POLICY } from '../../src/mesh/upstream.ts';
import { config, endpoint, HTTP_80, service } from './mesh-nouns.ts';

const sniOf = (name: object): string => JSON.stringify(name);

function vantage(clusters: readonly ClusterConfig[], region = 'east', zone = 'a'): Vantage {
  return {
    locality: { region, zone },
    network: 'east',
    clusters: new Map(clusters.map(each => [each.name, each])),
    policies: new Map(),
    spills: new Map(),
  };
}

function upstreamFrom(place: Vantage, endpoints: readonly Endpoint[]) {
  const exports = new Map(
    [...new Set(endpoints.map(({ cluster }) => cluster))].map(cluster => [
      cluster,
      [
        service(
          'cart',
          endpoints.filter(each => each.cluster === cluster),
        ),
      ],
    ]),
  );
  const [cart] = importServices(exports).values();
  const [upstream] = importedUpstreams(cart!, place, sniOf);
  return upstream!;
}

describe('importedUpstreams', () => {
  const near = endpoint('east', 'near', 'east', 'a');
  const region = endpoint('east', 'region', 'east', 'b');
  const far = endpoint('west', 'far');

  it('prefers the zone, then the region, then the rest', () => {
    const { name, endpoints } = upstreamFrom(vantage([config('east'), config('west')]), [
      far,
      region,
      near,
    ]);
    expect(name).to.equal('outbound|80||cart.shop.svc.clusterset.local');
    expect(endpoints.map(({ workload, priority }) => [workload, priority])).to.deep.equal([
      ['near', 0],
      ['region', 1],
      ['far', 2],
    ]);
  });

  it('skips no priority', () => {
    const { endpoints } = upstreamFrom(vantage([config('east'), config('west')]), [near, far]);
    expect(endpoints.map(({ priority }) => priority)).to.deep.equal([0, 1]);
  });

  it('goes direct inside its network and through a gateway to another', () => {
    const { endpoints } = upstreamFrom(vantage([config('east'), config('west')]), [near, far]);
    expect(endpoints.map(({ path, addresses }) => [path, addresses[0]?.host])).to.deep.equal([
      ['direct', 'near'],
      ['gateway', 'gateway-west'],
    ]);
  });

  it('goes direct to another cluster of its own network', () => {
    const clusters = [config('east'), config('west', { network: 'east' })];
    const { endpoints } = upstreamFrom(vantage(clusters), [far]);
    expect(endpoints[0]?.path).to.equal('direct');
  });

  it('leaves out what it has no way to', () => {
    const clusters = [config('east'), config('west', { gateways: [] })];
    const { endpoints } = upstreamFrom(vantage(clusters), [near, far]);
    expect(endpoints.map(({ workload }) => workload)).to.deep.equal(['near']);
  });

  it('names the endpoint in its server name', () => {
    const { endpoints } = upstreamFrom(vantage([config('east'), config('west')]), [far]);
    const [first] = endpoints;
    expect(JSON.parse(first!.sni)).to.deep.equal({
      cluster: 'west',
      namespace: 'shop',
      service: 'cart',
      port: 80,
      endpoint: first!.hash,
    });
  });
});

describe('importedUpstreams, for a caller with a policy', () => {
  const clusters = [config('east'), config('west')];
  const near = endpoint('east', 'near', 'east', 'a');
  const far = endpoint('west', 'far');
  const cart = serviceKey(parseNamespace('shop'), parseServiceName('cart'));
  const upstream = { ...DEFAULT_POLICY, balancing: 'least-request' as const };
  const policy: ServicePolicy = {
    upstream,
    failover: {
      overprovisioning: 100,
      groups: [{ by: 'cluster', weights: new Map([['west', 2]]), spillBelowPercent: 50 }],
    },
  };
  const place = { ...vantage(clusters), policies: new Map([[cart, policy]]) };

  it('have its priorities, weights and thresholds, and nobody it does not name', () => {
    const found = upstreamFrom(place, [near, far]);
    expect(found.endpoints.map(({ workload, weight }) => [workload, weight])).to.deep.equal([
      ['far', 20_000],
    ]);
    expect(found.overprovisioning).to.deep.equal([200]);
    expect(found.policy).to.equal(upstream);
  });

  it('have what is left to a cluster that is nearly full', () => {
    const spills = new Map([[spillKey(cart, near.cluster), 30]]);
    const { endpoints } = upstreamFrom({ ...vantage(clusters), spills }, [near, far]);
    expect(endpoints.map(({ workload, availability }) => [workload, availability])).to.deep.equal([
      ['near', 70],
      ['far', 100],
    ]);
  });

  it('keep their own endpoints under the local name, whatever the groups', () => {
    const local = { ...service('cart', [near]), exported: false };
    const [found] = localUpstreams(local, place, sniOf);
    expect(found?.endpoints.map(({ workload }) => workload)).to.deep.equal(['near']);
    expect(found?.policy).to.equal(upstream);
  });
});

describe('localUpstreams', () => {
  it('has a service that is not exported, under its local name', () => {
    const local = { ...service('cart', [endpoint('east', 'near')]), exported: false };
    const [upstream] = localUpstreams(local, vantage([config('east')]), sniOf);
    expect(upstream?.host).to.equal('cart.shop.svc.cluster.local');
    expect(upstream?.endpoints[0]?.path).to.equal('direct');
  });
});

describe('hostsOf', () => {
  const ports = [HTTP_80, { port: 90, protocol: 'tcp' as const }];
  const local = { ...service('cart', [], ports), exported: false };
  const upstreams = localUpstreams(local, vantage([config('east')]), sniOf);

  it('has the bare host for port 80 alone', () => {
    expect(upstreams.flatMap(hostsOf).map(([host]) => host)).to.deep.equal([
      'cart.shop.svc.cluster.local:80',
      'cart.shop.svc.cluster.local',
      'cart.shop.svc.cluster.local:90',
    ]);
  });
});

describe('gatewayRoutes', () => {
  it('has one route a port, to every endpoint', () => {
    const cart = service('cart', [endpoint('east', 'a'), endpoint('east', 'b')]);
    const [route, ...more] = gatewayRoutes(config('east').name, cart, sniOf);
    expect(more).to.deep.equal([]);
    expect(route?.endpoints.map(({ address }) => address.host)).to.deep.equal(['a', 'b']);
    expect(JSON.parse(route!.sni)).to.not.have.property('endpoint');
  });
});
