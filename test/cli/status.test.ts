/** Status against admin servers that answer as processes do: it reads nothing else. */

import { createServer, type Server } from 'node:http';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import type { Fleet, SidecarMember } from '../../src/cli/fleet.ts';
import { formatStatus, gatherStatus } from '../../src/cli/status.ts';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { parseClusterName, parseServiceAccount, parseWorkloadName } from '../../src/mesh/names.ts';
import { parseTrustDomain } from '../../src/mesh/spiffe-id.ts';
import { closeServer, findFreeAddress, listen } from '../../src/runtime/listen.ts';

const NOW = 1_000_000;
const EXPORTS = [{ namespace: 'shop', name: 'checkout' }];

describe('isthmus status', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map(server => closeServer(server)));
  });

  async function answering(paths: Record<string, unknown>): Promise<SocketAddress> {
    const server = createServer((request, response) => {
      const body = paths[request.url ?? ''];
      response.writeHead(body === undefined ? 404 : 200, { connection: 'close' });
      response.end(JSON.stringify(body ?? {}));
    });
    servers.push(server);
    return listen(server, { host: '127.0.0.1', port: 0 });
  }

  async function fleetOf(admins: {
    registry: SocketAddress;
    agent: SocketAddress;
    sidecar: SocketAddress;
    gateway: SocketAddress;
  }): Promise<Fleet> {
    const cluster = parseClusterName('east');
    const nowhere = { host: '127.0.0.1', port: 1 };
    const sidecar: SidecarMember = {
      component: 'sidecar',
      name: 'east/web',
      cluster,
      configFile: '',
      admin: admins.sidecar,
      workload: parseWorkloadName('web-0'),
      namespace: 'shop',
      serviceAccount: parseServiceAccount('web'),
      inbound: nowhere,
      outboundHttp: nowhere,
      applications: [],
    };
    return {
      registry: {
        component: 'registry',
        name: 'registry',
        configFile: '',
        admin: admins.registry,
        clusterSet: parseTrustDomain('cs.example'),
      },
      clusters: [
        {
          name: cluster,
          agent: {
            component: 'agent',
            name: 'east/agent',
            cluster,
            configFile: '',
            admin: admins.agent,
            trustDomain: parseTrustDomain('east.example'),
            region: 'us-east',
            servicesFile: '',
          },
          gateway: {
            component: 'gateway',
            name: 'east/gateway',
            cluster,
            configFile: '',
            admin: admins.gateway,
            listen: nowhere,
          },
          sidecars: [sidecar],
        },
      ],
    };
  }

  const registryUp = { '/debug/store': { kind: 'embedded', revision: 7 } };
  const agentUp = {
    '/debug/registry': { connected: true, sinceMs: NOW - 5000 },
    '/debug/clusters': [
      { name: 'east', local: true, freshness: { kind: 'live' }, exports: EXPORTS },
    ],
  };
  const proxy = (connected: boolean) => ({
    '/debug/agent': {
      connected,
      sinceMs: NOW - 34_000,
      lastUpdateMs: NOW - 60_000,
      source: 'agent',
    },
    '/debug/identity': { notAfterMs: NOW + 3_600_000 },
  });

  it('is current when everyone answers and is connected', async () => {
    const fleet = await fleetOf({
      registry: await answering(registryUp),
      agent: await answering(agentUp),
      sidecar: await answering(proxy(true)),
      gateway: await answering(proxy(true)),
    });
    const report = await gatherStatus(fleet, NOW);
    expect(report.current).to.equal(true);
    expect(formatStatus(report))
      .to.match(/east +us-east +shop\/checkout +current/)
      .and.to.match(/east\/web +sidecar +in 1h00m +1m00s ago +current/);
  });

  it('says since when a cluster is stale from its proxies alone, registry and agent being down', async () => {
    const down = await findFreeAddress('127.0.0.1');
    const fleet = await fleetOf({
      registry: down,
      agent: down,
      sidecar: await answering(proxy(false)),
      gateway: await answering(proxy(false)),
    });
    const report = await gatherStatus(fleet, NOW);
    expect(report.current).to.equal(false);
    expect(report.registry.state.kind).to.equal('down');
    expect(report.clusters[0]?.state).to.deep.equal({
      kind: 'stale',
      sinceMs: NOW - 34_000,
      reason: 'agent unreachable',
    });
    expect(formatStatus(report)).to.contain('(34s): agent unreachable');
  });

  it('leaves out, by name, a configured cluster that does not run', async () => {
    const down = await findFreeAddress('127.0.0.1');
    const report = await gatherStatus(
      await fleetOf({
        registry: await answering(registryUp),
        agent: down,
        sidecar: down,
        gateway: down,
      }),
      NOW,
    );
    expect(report.notRunning).to.deep.equal(['east']);
    expect(report.current).to.equal(true);
  });
});
