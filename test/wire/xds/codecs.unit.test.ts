/** Every noun survives its Envoy form, and what is wrong in one is named. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { isMeshError, MeshError } from '../../../src/mesh/errors.ts';
import { parseWorkloadName } from '../../../src/mesh/names.ts';
import type { EndpointHash } from '../../../src/mesh/service.ts';
import { DEFAULT_POLICY } from '../../../src/mesh/upstream.ts';
import { Cluster } from '../../../src/wire/generated/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '../../../src/wire/generated/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '../../../src/wire/generated/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '../../../src/wire/generated/envoy/config/route/v3/route.ts';
import { formatCluster, parseCluster, type XdsCluster } from '../../../src/wire/xds/cluster.ts';
import { formatGatewayListener, parseGatewayListener } from '../../../src/wire/xds/listener.ts';
import {
  formatGatewayAssignment,
  formatLoadAssignment,
  parseGatewayAssignment,
  parseLoadAssignment,
} from '../../../src/wire/xds/load-assignment.ts';
import { formatHostRoutes, parseHostRoutes } from '../../../src/wire/xds/route-configuration.ts';
import { formatBundles, parseBundles } from '../../../src/wire/xds/secret.ts';
import { BUNDLE, endpoint, IDENTITY, NAME, POLICY, SNI } from './nouns.ts';

function problemOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    if (isMeshError(error, 'PROTOCOL_VIOLATION')) return error.message;
    throw error;
  }
  throw new MeshError('PROTOCOL_VIOLATION', 'nothing was wrong');
}

describe('xDS codecs', () => {
  const upstream: XdsCluster = {
    kind: 'upstream',
    name: NAME,
    protocol: 'http',
    policy: POLICY,
    identities: [IDENTITY],
  };
  const passthrough: XdsCluster = { kind: 'passthrough', name: SNI };

  for (const cluster of [upstream, passthrough]) {
    it(`a ${cluster.kind} cluster reads back the same`, () => {
      expect(parseCluster(formatCluster(cluster))).to.deep.equal(cluster);
    });
  }

  it('endpoints read back the same, several gateways and all priorities included', () => {
    const endpoints = [endpoint('east', 0, ['10.0.0.1']), endpoint('west', 1, ['a', 'b', 'c'])];
    const parsed = parseLoadAssignment(
      formatLoadAssignment({ name: NAME, overprovisioning: [140, 200], endpoints }),
    );
    expect(parsed).to.deep.equal({ name: NAME, overprovisioning: [140, 200], endpoints });
  });

  it('what an older agent did not say reads as it was then', () => {
    const metadata = { filterMetadata: { isthmus: { protocol: 'http' } } };
    const older = encode(Cluster, {
      ...Cluster.decode(formatCluster(upstream)),
      lbPolicy: 0,
      outlierDetection: undefined,
      commonLbConfig: undefined,
      metadata,
    });
    expect(parseCluster(older)).to.deep.equal({ ...upstream, policy: DEFAULT_POLICY });

    const near = endpoint('east', 0, ['10.0.0.1']);
    const assignment = { name: NAME, overprovisioning: [140], endpoints: [near] };
    const decoded = ClusterLoadAssignment.decode(formatLoadAssignment(assignment));
    delete (decoded as Partial<ClusterLoadAssignment>).policy;
    for (const group of decoded.endpoints) {
      for (const each of group.lbEndpoints) each.loadBalancingWeight = undefined;
    }
    expect(parseLoadAssignment(encode(ClusterLoadAssignment, decoded))).to.deep.equal(assignment);
  });

  it('endpoints that were withdrawn read back beside those that are there, or alone', () => {
    const withdrawn = [endpoint('east', 0, ['a']).hash];
    for (const endpoints of [[endpoint('west', 0, ['a'])], []]) {
      const overprovisioning = endpoints.map(() => 140);
      const said = { name: NAME, overprovisioning, endpoints, withdrawn };
      expect(parseLoadAssignment(formatLoadAssignment(said))).to.deep.equal(said);
    }
  });

  it('a service without endpoints reads back without endpoints', () => {
    const nobody = { name: NAME, overprovisioning: [], endpoints: [] };
    expect(parseLoadAssignment(formatLoadAssignment(nobody))).to.deep.equal(nobody);
  });

  it("a gateway's endpoints read back the same", () => {
    const endpoints = [
      {
        hash: '0123456789abcdef' as EndpointHash,
        workload: parseWorkloadName('w-0'),
        address: { host: '::1', port: 1 },
      },
    ];
    const parsed = parseGatewayAssignment(formatGatewayAssignment({ name: SNI, endpoints }));
    expect(parsed).to.deep.equal({ name: SNI, endpoints });
  });

  it('hosts read back the same', () => {
    const routes = {
      name: 'clusterset:80',
      hosts: [['a:80', NAME] as const, ['a', NAME] as const],
    };
    expect(parseHostRoutes(formatHostRoutes(routes))).to.deep.equal(routes);
  });

  it('gateway chains read back the same', () => {
    const chains = [{ sni: SNI, cluster: SNI }];
    expect(parseGatewayListener(formatGatewayListener(chains))).to.deep.equal(chains);
  });

  it('bundles read back the same, an empty one included', () => {
    const bundles = [BUNDLE, { ...BUNDLE, trustDomain: 'eu.example', x509Authorities: [] }];
    expect(parseBundles(formatBundles(bundles as never))).to.deep.equal(bundles);
    const jwtAuthorities = [{ keyId: '-----BEGIN CERTIFICATE-----\n', spki: Buffer.of(1, 2, 3) }];
    const full = { ...BUNDLE, jwtAuthorities, revoked: [IDENTITY] };
    expect(parseBundles(formatBundles([full]))).to.deep.equal([full]);
  });

  describe('name the resource and the field', () => {
    const cluster = Cluster.decode(formatCluster(upstream));
    const assignment = ClusterLoadAssignment.decode(
      formatLoadAssignment({
        name: NAME,
        overprovisioning: [140],
        endpoints: [endpoint('east', 0, ['10.0.0.1'])],
      }),
    );
    const listener = Listener.decode(formatGatewayListener([{ sni: SNI, cluster: SNI }]));
    const routes = RouteConfiguration.decode(
      formatHostRoutes({ name: 'clusterset:80', hosts: [['a', NAME]] }),
    );
    const lbEndpoint = assignment.endpoints[0]!.lbEndpoints[0]!;

    const cases: readonly [problem: string, parse: () => unknown][] = [
      [
        `cluster "${NAME}": type: must be EDS`,
        () => parseCluster(encode(Cluster, { ...cluster, clusterDiscoveryType: undefined })),
      ],
      [
        'cluster "x": name: must be outbound|<port>||<host>',
        () => parseCluster(encode(Cluster, { ...cluster, name: 'x' })),
      ],
      [
        `cluster "${NAME}": lb_policy: must be ROUND_ROBIN or LEAST_REQUEST`,
        () => parseCluster(encode(Cluster, { ...cluster, lbPolicy: 5 as never })),
      ],
      [
        `cluster "${NAME}": outlier_detection.max_ejection_percent: must be 0 to 100`,
        () =>
          parseCluster(
            encode(Cluster, {
              ...cluster,
              outlierDetection: { consecutive5xx: 5, maxEjectionPercent: 101 },
            }),
          ),
      ],
      [
        `load-assignment "${NAME}": endpoints[0].priority: must be at most 128`,
        () =>
          parseLoadAssignment(
            encode(ClusterLoadAssignment, {
              ...assignment,
              endpoints: [{ ...assignment.endpoints[0]!, priority: 129 }],
            }),
          ),
      ],
      [
        `cluster "${NAME}": metadata.isthmus.protocol: missing or not a string`,
        () => parseCluster(encode(Cluster, { ...cluster, metadata: undefined })),
      ],
      [
        `load-assignment "${NAME}": endpoints[0].lb_endpoints[0].metadata.isthmus.workload: missing or not a string`,
        () => parseLoadAssignment(withEndpoint({ ...lbEndpoint, metadata: undefined })),
      ],
      [
        `load-assignment "${NAME}": endpoints[0].lb_endpoints[0].endpoint: missing`,
        () => parseLoadAssignment(withEndpoint({ ...lbEndpoint, hostIdentifier: undefined })),
      ],
      [
        'listener "east-west": filter_chains[0].filters: must be one TCP proxy',
        () =>
          parseGatewayListener(
            encode(Listener, {
              ...listener,
              filterChains: [{ ...listener.filterChains[0]!, filters: [] }],
            }),
          ),
      ],
      [
        'listener "east-west": filter_chains[0].filter_chain_match.server_names: must be a service of the mesh and its wildcard',
        () =>
          parseGatewayListener(
            encode(Listener, {
              ...listener,
              filterChains: [{ ...listener.filterChains[0]!, filterChainMatch: undefined }],
            }),
          ),
      ],
      [
        'route-configuration "clusterset:80": virtual_hosts[0].routes: must be one route',
        () =>
          parseHostRoutes(
            encode(RouteConfiguration, {
              ...routes,
              virtualHosts: [{ ...routes.virtualHosts[0]!, routes: [] }],
            }),
          ),
      ],
    ];
    for (const [problem, parse] of cases) {
      it(problem, () => {
        expect(problemOf(parse)).to.equal(problem);
      });
    }

    function withEndpoint(changed: typeof lbEndpoint): Uint8Array {
      return encode(ClusterLoadAssignment, {
        ...assignment,
        endpoints: [{ ...assignment.endpoints[0]!, lbEndpoints: [changed] }],
      });
    }
  });
});

function encode<T>(type: { encode(message: T): { finish(): Uint8Array } }, message: T): Uint8Array {
  return type.encode(message).finish();
}
