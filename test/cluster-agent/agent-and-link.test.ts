/** An agent and its proxies together: real TLS, real files, a registry in memory. */

import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { ProxyReport } from '../../src/cluster-agent/proxies/proxy-reports.ts';
import { type InboundName, inboundName } from '../../src/mesh/callers.ts';
import type { Freshness } from '../../src/mesh/cluster.ts';
import { parseClusterName, parseNamespace, parseServiceName } from '../../src/mesh/names.ts';
import { parseTrustDomain, requireSpiffeId } from '../../src/mesh/spiffe-id.ts';
import { type UpstreamName, upstreamName } from '../../src/mesh/upstream.ts';
import { meshErrorOf } from '../runtime/rejection.ts';
import { useTempDir } from '../runtime/temp-dir.ts';
import { FakeRegistry } from './fake-registry.ts';
import {
  CLUSTER,
  debugOf,
  eventually,
  joinProxy,
  prepareProxy,
  type RunningAgent,
  type RunningLink,
  SERVICES,
  startAgent,
  startLink,
  TRUST_DOMAIN,
} from './harness.ts';
import { publishedCluster } from './published-cluster.ts';

const CHECKOUT = upstreamName('checkout.shop.svc.clusterset.local', 80);
const PAYMENTS = upstreamName('payments.shop.svc.clusterset.local', 80);
const [INBOUND, INBOUND_TCP] = [80, 9000].map(port =>
  inboundName({ namespace: parseNamespace('shop'), name: parseServiceName('checkout') }, port),
) as [InboundName, InboundName];
const WEST = parseClusterName('west');

describe('an agent and its proxies', () => {
  let registry: FakeRegistry;
  let agent: RunningAgent;
  const links: RunningLink[] = [];

  afterEach(async () => {
    await Promise.all(links.splice(0).map(link => link.stop()));
    await agent.stop();
  });
  // After the hook above: the directory goes last.
  const dir = useTempDir();

  beforeEach(async () => {
    registry = new FakeRegistry();
    agent = await startAgent({ dir: dir(), registry });
  });

  async function join_(name: string, more: Partial<Parameters<typeof joinProxy>[0]> = {}) {
    const running = await joinProxy({ dir: dir(), agent, name, ...more });
    links.push(running);
    return running;
  }

  function workloads({ link }: RunningLink, upstream: UpstreamName): string[] | undefined {
    return link.upstreams.get(upstream)?.endpoints.map(({ workload }) => workload);
  }

  /** Without the ".example". */
  function callers({ link }: RunningLink, port = INBOUND): string | undefined {
    const trustDomains = link.callers.get(port);
    return trustDomains && [...trustDomains].map(each => each.replace('.example', '')).join();
  }

  /** Routes come last to a sidecar, listeners to a gateway; one that gets neither has at least roots. */
  async function settled(
    { link }: RunningLink,
    last: 'hosts' | 'gatewayRoutes' | 'bundles' = 'hosts',
  ): Promise<void> {
    await eventually(
      'state from the agent',
      () => link.status().source === 'agent' && link[last].entries().size > 0,
    );
  }

  async function freshnessOf(name: string): Promise<Freshness | undefined> {
    const clusters = await debugOf<{ name: string; freshness?: Freshness }[]>(agent, 'clusters');
    return clusters.find(cluster => cluster.name === name)?.freshness;
  }

  describe('a report', () => {
    it('says which certificate a proxy serves and which bundles it verifies with', async () => {
      const sidecar = await join_('web-0');
      await settled(sidecar);
      await eventually('report', async () => {
        const [report] = await debugOf<ProxyReport[]>(agent, 'proxy-reports');
        const bundle = sidecar.link.bundles.get(TRUST_DOMAIN);
        return (
          report?.proxy === 'web-0' &&
          report.svid.notAfterMs === sidecar.link.identity.current().notAfterMs &&
          report.bundles[TRUST_DOMAIN] === bundle?.sequence
        );
      });
    });
  });

  describe('the snapshot', () => {
    it('gives a sidecar local and exported services, their hosts and the roots', async () => {
      const sidecar = await join_('web-0');
      await settled(sidecar);
      const { link } = sidecar;
      expect(workloads(sidecar, CHECKOUT)).to.deep.equal(['checkout-0']);
      expect([...link.hosts.entries()].map(([host]) => host).sort()).to.deep.equal([
        'checkout.shop.svc.cluster.local',
        'checkout.shop.svc.cluster.local:80',
        'checkout.shop.svc.cluster.local:9000',
        'checkout.shop.svc.clusterset.local',
        'checkout.shop.svc.clusterset.local:80',
        'checkout.shop.svc.clusterset.local:9000',
        'web.shop.svc.cluster.local',
        'web.shop.svc.cluster.local:80',
      ]);
      expect(link.bundles.get(TRUST_DOMAIN)?.x509Authorities).to.have.length(1);
      expect(link.gatewayRoutes.entries().size).to.equal(0);
    });

    it('follows what another cluster exports, and its withdrawal', async () => {
      const sidecar = await join_('web-0');
      await settled(sidecar);
      const west = publishedCluster('west', ['payments-0']);
      registry.write(WEST, west);
      await eventually('payments', () => workloads(sidecar, PAYMENTS)?.length === 1);
      const [endpoint] = sidecar.link.upstreams.get(PAYMENTS)?.endpoints ?? [];
      expect(endpoint?.path).to.equal('gateway');
      expect(endpoint?.addresses).to.deep.equal([{ host: '127.0.0.1', port: 22443 }]);
      expect(sidecar.link.bundles.get(parseTrustDomain('west.example'))).to.not.equal(undefined);
      registry.write(WEST, [], [{ kind: 'synced' }]);
      await eventually('withdrawal', () => workloads(sidecar, PAYMENTS)?.length === 0);
      const hosts = (): string[] => [...sidecar.link.hosts.entries().values()];
      await eventually('its host gone', () => !hosts().includes(PAYMENTS));
      expect(workloads(sidecar, CHECKOUT)).to.deep.equal(['checkout-0']);
    });

    it('follows the services file, and keeps the last good one when it is wrong', async () => {
      const sidecar = await join_('web-0');
      await settled(sidecar);
      const file = join(dir(), 'services.yaml');
      await writeFile(file, SERVICES.replace('checkout-0', 'checkout-1'));
      await eventually('checkout-1', () => workloads(sidecar, CHECKOUT)?.[0] === 'checkout-1');
      await appendFile(file, '    colour: blue\n');
      const problemOf = async () =>
        (await debugOf<{ problem?: string }>(agent, 'services')).problem ?? '';
      await eventually('a problem', async () => (await problemOf()) !== '');
      expect(await problemOf()).to.contain('unknown key');
      expect(workloads(sidecar, CHECKOUT)).to.deep.equal(['checkout-1']);
    });

    it('says who may call the ports that a sidecar serves, and of no others', async () => {
      const inbound = [INBOUND, INBOUND_TCP];
      const [sidecar, other] = [
        await join_('checkout-0', { inbound }),
        await join_('web-0', { inbound: [INBOUND_TCP] }),
      ];
      await Promise.all([settled(sidecar), settled(other)]);
      expect(inbound.map(port => callers(sidecar, port))).to.deep.equal(['east', 'east']);
      expect([...other.link.callers.entries().keys()]).to.deep.equal([INBOUND_TCP]);
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      await eventually('a new cluster', () => callers(sidecar) === 'east,west');
      const services = join(dir(), 'services.yaml');
      const exported = (more: string) => SERVICES.replace('export: true\n', more);
      await writeFile(services, exported('export: true\n    exportTo: [eu]\n'));
      await eventually('a narrower export', () => callers(sidecar) === 'east');
      registry.write(parseClusterName('eu'), publishedCluster('eu', []));
      await eventually('the cluster it is for', () => callers(sidecar) === 'east,eu');
      await writeFile(services, exported('export: false\n'));
      await eventually('no export', () => callers(sidecar) === 'east');
      await writeFile(services, SERVICES.replace('name: checkout', 'name: basket'));
      await eventually('no such service', () => callers(sidecar) === undefined);
    });

    it('gives the gateway routes to exported services and nothing else', async () => {
      const gateway = await join_('gateway-east-0', { kind: 'gateway' });
      await settled(gateway, 'gatewayRoutes');
      expect([...gateway.link.gatewayRoutes.entries().keys()]).to.deep.equal([
        'p80.checkout.shop.east.v1.isthmus.internal',
        'p9000.checkout.shop.east.v1.isthmus.internal',
      ]);
      expect(gateway.link.upstreams.entries().size).to.equal(0);
    });

    it('gives no gateway routes to a sidecar that says it is a gateway', async () => {
      const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
      const liar = await startLink({ ...options, proxy: { ...options.proxy, kind: 'gateway' } });
      links.push(liar);
      await settled(liar, 'bundles');
      expect(liar.link.gatewayRoutes.entries().size).to.equal(0);
      expect((await debugOf<{ kind: string }[]>(agent, 'proxies'))[0]?.kind).to.equal('sidecar');
    });
  });

  describe('interruptions', () => {
    it('an agent that restarts finds its proxies again, and they resume', async () => {
      const sidecar = await join_('web-0');
      await settled(sidecar);
      await agent.stop();
      await eventually('loss', () => !sidecar.link.status().connected);
      expect(workloads(sidecar, CHECKOUT)).to.deep.equal(['checkout-0']);
      agent = await startAgent({ dir: dir(), registry, addresses: agent.addresses });
      await eventually('resumption', () => sidecar.link.status().connected);
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      await eventually('news', () => workloads(sidecar, PAYMENTS)?.length === 1);
    });

    it('a proxy starts from disk while its agent is down', async () => {
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      const place = { dir: dir(), agent, name: 'web-0', inbound: [INBOUND] };
      const options = await prepareProxy(place);
      const first = await startLink(options);
      await settled(first);
      await eventually('west', () => callers(first) === 'east,west');
      await first.stop();
      await agent.stop();
      const second = await startLink(options);
      links.push(second);
      expect(second.link.status().source).to.equal('disk');
      expect(callers(second)).to.equal('east,west');
      expect(workloads(second, CHECKOUT)).to.deep.equal(['checkout-0']);
      expect(second.link.identity.current().id).to.equal(options.proxy.spiffeId);
      agent = await startAgent({ dir: dir(), registry });
    });

    it('a proxy ignores a damaged file and asks the agent', async () => {
      const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
      const first = await startLink(options);
      await settled(first);
      await first.stop();
      const path = join(options.stateDir, 'last-known-good');
      const content = await readFile(path);
      content.writeUInt8(content.readUInt8(content.length - 1) ^ 1, content.length - 1);
      await writeFile(path, content, { mode: 0o600 });
      const second = await startLink(options);
      links.push(second);
      expect(second.link.upstreams.entries().size).to.equal(0);
      await settled(second);
      expect(workloads(second, CHECKOUT)).to.deep.equal(['checkout-0']);
    });

    it('a registry that goes silent makes clusters stale and deletes nothing', async () => {
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      const sidecar = await join_('web-0');
      await eventually('payments', () => workloads(sidecar, PAYMENTS)?.length === 1);
      registry.unplug();
      await eventually('staleness', async () => (await freshnessOf('west'))?.kind === 'stale');
      expect(await freshnessOf('west')).to.deep.include({ reason: 'registry-unreachable' });
      expect(workloads(sidecar, PAYMENTS)).to.deep.equal(['payments-0']);
      registry.plug();
    });

    it('an agent without a registry serves what it knows from disk', async () => {
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      const sidecar = await join_('web-0');
      await eventually('payments', () => workloads(sidecar, PAYMENTS)?.length === 1);
      await agent.stop();
      registry.unplug();
      agent = await startAgent({ dir: dir(), registry });
      const other = await join_('web-1');
      await settled(other);
      expect(workloads(other, PAYMENTS)).to.deep.equal(['payments-0']);
    });

    it('an agent that knows nothing of the others takes nothing away', async () => {
      registry.write(WEST, publishedCluster('west', ['payments-0']));
      const place = { dir: dir(), agent, name: 'web-0', inbound: [INBOUND] };
      const sidecar = await startLink(await prepareProxy(place));
      links.push(sidecar);
      const host = 'payments.shop.svc.clusterset.local';
      // Routes come last: with them the sidecar has everything.
      await eventually('payments', () => sidecar.link.hosts.entries().has(host));
      await agent.stop();
      registry.unplug();
      await writeFile(join(dir(), 'agent', 'last-known-good'), '', { mode: 0o600 });
      await writeFile(
        join(dir(), 'services.yaml'),
        SERVICES.replace('name: web\n', 'name: site\n'),
      );
      agent = await startAgent({ dir: dir(), registry, addresses: agent.addresses });
      await eventually('local news', () =>
        sidecar.link.hosts.entries().has('site.shop.svc.cluster.local'),
      );
      expect(workloads(sidecar, PAYMENTS)).to.deep.equal(['payments-0']);
      expect(sidecar.link.hosts.get(host)).to.equal(PAYMENTS);
      expect(callers(sidecar)).to.equal('east,west');
    });
  });

  describe('joining', () => {
    it('a token joins once', async () => {
      const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
      const token = await readFile(join(options.stateDir, 'join-token'), 'utf8');
      const first = await startLink(options);
      links.push(first);
      expect(first.link.identity.current().id).to.equal(options.proxy.spiffeId);
      const second = joinProxy({ dir: dir(), agent, name: 'web-1', token: token.trim() });
      await meshErrorOf(second, 'TOKEN_USED');
    });

    it('of many that redeem one token at once, one joins', async () => {
      const options = await prepareProxy({ dir: dir(), agent, name: 'web-0' });
      const token = (await readFile(join(options.stateDir, 'join-token'), 'utf8')).trim();
      const others = await Promise.all(
        [1, 2, 3, 4, 5].map(i => prepareProxy({ dir: dir(), agent, name: `web-${i}`, token })),
      );
      const results = await Promise.allSettled([options, ...others].map(each => startLink(each)));
      const joined = results.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
      links.push(...joined);
      expect(joined).to.have.length(1);
    });

    it('an expired token joins nobody', async () => {
      const late = joinProxy({ dir: dir(), agent, name: 'web-0', tokenTtlMs: -1 });
      await meshErrorOf(late, 'TOKEN_EXPIRED');
    });

    it('a token nobody made joins nobody', async () => {
      const token = 'A'.repeat(43);
      await meshErrorOf(joinProxy({ dir: dir(), agent, name: 'web-0', token }), 'TOKEN_UNKNOWN');
    });

    it('a token is for its own identity alone, and survives the attempt', async () => {
      const id = requireSpiffeId('spiffe://east.example/ns/shop/sa/checkout');
      const options = await prepareProxy({ dir: dir(), agent, name: 'web-0', tokenId: id });
      await meshErrorOf(startLink(options), 'CSR_REFUSED');
      const rightful = await startLink({ ...options, proxy: { ...options.proxy, spiffeId: id } });
      links.push(rightful);
      expect(rightful.link.identity.current().id).to.equal(id);
    });

    it('an identity of another trust domain cannot be had', async () => {
      const id = requireSpiffeId('spiffe://west.example/ns/shop/sa/web');
      const refused = joinProxy({ dir: dir(), agent, name: 'web-0', id });
      await meshErrorOf(refused, 'CSR_REFUSED');
    });
  });

  it('publishes config first and the canary last, and nothing again when nothing changed', async () => {
    await eventually('canary', () => registry.recordsOf(CLUSTER).includes('synced'));
    expect(registry.recordsOf(CLUSTER)).to.deep.equal([
      'config',
      'bundle',
      'exports/shop/checkout/0',
      'trust-acks',
      'alive',
      'synced',
    ]);
    const before = registry.published.length;
    registry.expireLease(CLUSTER);
    await eventually('a new lease', () => registry.recordsOf(CLUSTER).includes('alive'));
    expect(registry.published.slice(before)).to.deep.equal([{ puts: 1, deletes: 0 }]);
  });

  it('publishes everything again to a registry that lost it', async () => {
    await eventually('canary', () => registry.recordsOf(CLUSTER).includes('synced'));
    registry.unplug();
    await eventually('loss', async () => {
      const { connected } = await debugOf<{ connected: boolean }>(agent, 'registry');
      return !connected;
    });
    registry.reset('store-2');
    registry.plug();
    await eventually('canary', () => registry.recordsOf(CLUSTER).includes('synced'));
    expect(registry.recordsOf(CLUSTER)).to.have.length(6);
  });
});
