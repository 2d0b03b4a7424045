/**
 * Our subset against Envoy's whole: what we write its full protos read with the same field names, and
 * write back to the same bytes' meaning.
 */

import { join } from 'node:path';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { DeltaDiscoveryRequest } from '../../../src/wire/generated/envoy/service/discovery/v3/discovery.ts';
import { formatCallers, parseCallers } from '../../../src/wire/xds/callers.ts';
import { formatCluster, parseCluster, type XdsCluster } from '../../../src/wire/xds/cluster.ts';
import { formatGatewayListener, parseGatewayListener } from '../../../src/wire/xds/listener.ts';
import {
  formatLoadAssignment,
  parseLoadAssignment,
} from '../../../src/wire/xds/load-assignment.ts';
import { RESOURCE_TYPE_URLS } from '../../../src/wire/xds/resource.ts';
import { formatHostRoutes, parseHostRoutes } from '../../../src/wire/xds/route-configuration.ts';
import { formatBundles, parseBundles } from '../../../src/wire/xds/secret.ts';
import { BUNDLE, CALLERS, endpoint, IDENTITY, NAME, POLICY, SNI } from './nouns.ts';

interface Codec {
  decode(bytes: Buffer): Record<string, unknown>;
  encode(message: Record<string, unknown>): Buffer;
}

describe("Envoy's own protos", function () {
  this.timeout(60_000);
  const deps = join('node_modules', '@grpc', 'grpc-js-xds', 'deps');
  const definitions = loadSync(
    [
      'envoy/service/discovery/v3/ads.proto',
      'envoy/config/cluster/v3/cluster.proto',
      'envoy/config/core/v3/extension.proto',
      'envoy/config/endpoint/v3/endpoint.proto',
      'envoy/config/listener/v3/listener.proto',
      'envoy/config/route/v3/route.proto',
      'envoy/extensions/filters/network/rbac/v3/rbac.proto',
      'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto',
      'envoy/extensions/transport_sockets/tls/v3/tls.proto',
      'envoy/extensions/transport_sockets/tls/v3/secret.proto',
      'envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.proto',
    ],
    {
      keepCase: true,
      longs: String,
      enums: String,
      oneofs: true,
      arrays: true,
      includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map(dir =>
        join(deps, dir),
      ),
    },
  );

  function codecOf(fullName: string): Codec {
    const definition = definitions[fullName] as MessageTypeDefinition<object, object>;
    return {
      decode: bytes => definition.deserialize(bytes) as Record<string, unknown>,
      encode: message => definition.serialize(message),
    };
  }

  const cluster: XdsCluster = {
    kind: 'upstream',
    name: NAME,
    protocol: 'http',
    policy: POLICY,
    identities: [IDENTITY],
  };
  const assignment = {
    name: NAME,
    overprovisioning: [140, 200],
    endpoints: [endpoint('east', 0, ['10.0.0.1']), endpoint('west', 1, ['a', 'b'])],
  };
  const routes = { name: 'clusterset:80', hosts: [['a:80', NAME] as const, ['a', NAME] as const] };
  const chains = [{ sni: SNI, cluster: SNI }];

  const cases: readonly [
    type: keyof typeof RESOURCE_TYPE_URLS,
    ours: Buffer,
    noun: unknown,
    parse: (bytes: Uint8Array) => unknown,
    theirs: Readonly<Record<string, unknown>>,
  ][] = [
    ['cluster', formatCluster(cluster), cluster, parseCluster, { name: NAME, type: 'EDS' }],
    [
      'load-assignment',
      formatLoadAssignment(assignment),
      assignment,
      parseLoadAssignment,
      { cluster_name: NAME },
    ],
    [
      'route-configuration',
      formatHostRoutes(routes),
      routes,
      parseHostRoutes,
      { name: 'clusterset:80' },
    ],
    [
      'listener',
      formatGatewayListener(chains),
      chains,
      parseGatewayListener,
      { name: 'east-west' },
    ],
    ['extension-config', formatCallers(CALLERS), CALLERS, parseCallers, { name: CALLERS.name }],
    ['secret', formatBundles([BUNDLE]), [BUNDLE], parseBundles, { name: 'ROOTCA' }],
  ];
  for (const [type, ours, noun, parse, theirs] of cases) {
    it(`read our ${type}, and we read what they write`, () => {
      const codec = codecOf(RESOURCE_TYPE_URLS[type].replace('type.googleapis.com/', ''));
      const decoded = codec.decode(ours);
      expect(decoded).to.deep.include(theirs);
      expect(parse(codec.encode(decoded))).to.deep.equal(noun);
    });
  }

  it('read who may call as what an RBAC filter allows', () => {
    const { typed_config: config } = codecOf('envoy.config.core.v3.TypedExtensionConfig').decode(
      formatCallers(CALLERS),
    ) as { typed_config: { type_url: string; value: Buffer } };
    const url = 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC';
    expect(config.type_url).to.equal(url);
    const { rules } = codecOf('envoy.extensions.filters.network.rbac.v3.RBAC').decode(
      config.value,
    ) as { rules: { action?: string; policies: Record<string, unknown> } };
    const allowed = (trustDomain: string) => ({
      identifier: 'authenticated',
      authenticated: {
        principal_name: { match_pattern: 'prefix', prefix: `spiffe://${trustDomain}/` },
      },
    });
    expect(rules.policies).to.deep.equal({
      callers: {
        permissions: [{ rule: 'any', any: true }],
        principals: [allowed('east.example'), allowed('west.example')],
      },
    });
  });

  it('read each endpoint of ours at its address, with its other addresses and its priority', () => {
    const decoded = codecOf('envoy.config.endpoint.v3.ClusterLoadAssignment').decode(
      formatLoadAssignment(assignment),
    ) as {
      endpoints: {
        priority?: number;
        lb_endpoints: { endpoint: { address: unknown; additional_addresses: unknown[] } }[];
      }[];
    };
    const found = decoded.endpoints.map(({ priority = 0, lb_endpoints: [first] }) => ({
      priority,
      address: first?.endpoint.address,
      more: first?.endpoint.additional_addresses.length,
    }));
    expect(found[0]).to.deep.include({ priority: 0, more: 0 });
    expect(found[0]?.address).to.have.nested.property('socket_address.port_value', 15443);
    expect(found[1]).to.deep.include({ priority: 1, more: 1 });
  });

  it('read our requests, and we read what they write', () => {
    const request: DeltaDiscoveryRequest = {
      node: {
        id: 'web-0',
        cluster: 'east',
        locality: { region: 'us-east', zone: 'us-east-1' },
        userAgentName: 'isthmus',
      },
      typeUrl: RESOURCE_TYPE_URLS.cluster,
      resourceNamesSubscribe: ['*'],
      resourceNamesUnsubscribe: ['x'],
      initialResourceVersions: { a: '1' },
      responseNonce: '7',
      errorDetail: { code: 3, message: 'no' },
    };
    const codec = codecOf('envoy.service.discovery.v3.DeltaDiscoveryRequest');
    const decoded = codec.decode(Buffer.from(DeltaDiscoveryRequest.encode(request).finish()));
    expect(decoded).to.deep.include({ response_nonce: '7', initial_resource_versions: { a: '1' } });
    expect(DeltaDiscoveryRequest.decode(codec.encode(decoded))).to.deep.equal(request);
  });
});
