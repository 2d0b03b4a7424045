/** What a proxy makes of what it is sent. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Received } from '../../../src/cluster-agent/link/received.ts';
import { requireSpiffeId } from '../../../src/mesh/spiffe-id.ts';
import type { DeltaDiscoveryResponse } from '../../../src/wire/generated/envoy/service/discovery/v3/discovery.ts';
import { formatCallers } from '../../../src/wire/xds/callers.ts';
import { formatCluster } from '../../../src/wire/xds/cluster.ts';
import { formatLoadAssignment } from '../../../src/wire/xds/load-assignment.ts';
import { RESOURCE_TYPE_URLS, type ResourceType } from '../../../src/wire/xds/resource.ts';
import { formatBundles } from '../../../src/wire/xds/secret.ts';
import { BUNDLE, CALLERS, endpoint, IDENTITY, NAME, POLICY } from '../../wire/xds/nouns.ts';

const ROOT = { ...BUNDLE, sequence: 1 };
const CLUSTER = formatCluster({
  kind: 'upstream',
  name: NAME,
  protocol: 'http',
  policy: POLICY,
  identities: [IDENTITY],
});
const ENDPOINTS = formatLoadAssignment({
  name: NAME,
  overprovisioning: [140],
  endpoints: [endpoint('west', 0, ['a'])],
});

function response(
  type: ResourceType,
  resources: Readonly<Record<string, Buffer>>,
  removedResources: string[] = [],
): DeltaDiscoveryResponse {
  const typeUrl = RESOURCE_TYPE_URLS[type];
  return {
    systemVersionInfo: '',
    typeUrl,
    nonce: '1',
    resources: Object.entries(resources).map(([name, value]) => ({
      name,
      version: 'v',
      resource: { typeUrl, value },
    })),
    removedResources,
  };
}

function filled(): Received {
  const received = new Received('sidecar', ROOT);
  received.apply('cluster', response('cluster', { [NAME]: CLUSTER }));
  received.apply('load-assignment', response('load-assignment', { [NAME]: ENDPOINTS }));
  return received;
}

describe('Received', () => {
  it('shows an upstream once its cluster and its endpoints are there', () => {
    const received = new Received('sidecar', ROOT);
    received.apply('cluster', response('cluster', { [NAME]: CLUSTER }));
    expect(received.upstreams.get(NAME)).to.equal(undefined);
    received.apply('load-assignment', response('load-assignment', { [NAME]: ENDPOINTS }));
    expect(received.upstreams.get(NAME)?.endpoints).to.have.length(1);
  });

  it('drops an upstream that was taken back, and keeps one that is only not named any more', () => {
    const received = filled();
    received.apply('cluster', response('cluster', {}, [NAME]));
    expect(received.upstreams.get(NAME)?.endpoints).to.have.length(1);
    received.apply('cluster', response('cluster', { [NAME]: CLUSTER }));
    const withdrawn = [endpoint('west', 0, ['a']).hash];
    const nobody = formatLoadAssignment({
      name: NAME,
      overprovisioning: [],
      endpoints: [],
      withdrawn,
    });
    received.apply('load-assignment', response('load-assignment', { [NAME]: nobody }));
    expect(received.upstreams.get(NAME)?.endpoints).to.deep.equal([]);
    received.apply('cluster', response('cluster', {}, [NAME]));
    expect(received.upstreams.get(NAME)).to.equal(undefined);
  });

  it('refuses what it cannot read by name, keeps what that would replace, takes the rest', () => {
    const received = filled();
    const [problem, ...more] = received.apply(
      'load-assignment',
      response('load-assignment', { [NAME]: Buffer.of(255), other: ENDPOINTS }),
    );
    expect(more).to.deep.equal([]);
    expect(problem).to.contain('load-assignment');
    expect(received.upstreams.get(NAME)?.endpoints).to.have.length(1);
    expect(received.versions('load-assignment')).to.deep.equal({ [NAME]: 'v', other: 'v' });
  });

  it('leaves out an endpoint whose identity may not answer for the upstream', () => {
    const received = filled();
    const identities = [requireSpiffeId('spiffe://west.example/ns/shop/sa/other')];
    const other = formatCluster({
      kind: 'upstream',
      name: NAME,
      protocol: 'http',
      policy: POLICY,
      identities,
    });
    received.apply('cluster', response('cluster', { [NAME]: other }));
    expect(received.upstreams.get(NAME)?.endpoints).to.deep.equal([]);
  });

  it('trusts the root it was given until bundles arrive, and only them from then on', () => {
    const received = new Received('sidecar', ROOT);
    expect(received.bundles.get(BUNDLE.trustDomain)?.sequence).to.equal(1);
    received.apply('secret', response('secret', { ROOTCA: formatBundles([BUNDLE]) }));
    expect(received.bundles.get(BUNDLE.trustDomain)?.sequence).to.equal(BUNDLE.sequence);
  });

  it('knows who may call a port from when it is told, until it is taken back', () => {
    const received = new Received('sidecar', ROOT);
    expect(received.callers.get(CALLERS.name)).to.equal(undefined);
    const said = response('extension-config', { [CALLERS.name]: formatCallers(CALLERS) });
    received.apply('extension-config', said);
    expect([...(received.callers.get(CALLERS.name) ?? [])]).to.deep.equal(CALLERS.trustDomains);
    const unreadable = response('extension-config', { [CALLERS.name]: Buffer.of(255) });
    expect(received.apply('extension-config', unreadable)).to.have.length(1);
    expect(received.callers.get(CALLERS.name)?.size).to.equal(2);
    received.apply('extension-config', response('extension-config', {}, [CALLERS.name]));
    expect(received.callers.get(CALLERS.name)).to.equal(undefined);
  });

  it('is the same after a restart', () => {
    const before = filled();
    const said = response('extension-config', { [CALLERS.name]: formatCallers(CALLERS) });
    before.apply('extension-config', said);
    const after = new Received('sidecar', ROOT);
    after.restore(before.serialise());
    expect(after.upstreams.entries()).to.deep.equal(before.upstreams.entries());
    expect(after.callers.entries()).to.deep.equal(before.callers.entries());
    expect(after.versions('cluster')).to.deep.equal(before.versions('cluster'));
  });
});
