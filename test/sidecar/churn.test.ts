/** What comes and goes under load: no call is lost that was not in flight on something that was killed. */

import { createServer } from 'node:http';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  eventually,
  type RunningGateway,
  type RunningSidecar,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { call, keepAliveAgent } from '../support/http-client.ts';
import { adminJson } from './pair.ts';

const CALLERS = 8;
const ROUNDS = 4;
/** Each takes as long as it takes to drain one. */
const GATEWAY_RESTARTS = 2;
/** Longer than a sidecar takes to hear that a gateway drains. */
const GATEWAY_DRAIN = '20s';

describe('a call under load is lost to nothing that goes in peace,', function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let web: RunningSidecar;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    web = await mesh.sidecar({ cluster: 'east', workload: 'web' });
  });
  afterEach(() => mesh.stop());

  async function serve(workload: string) {
    const application = await mesh.serve(
      createServer((_q, response) => setTimeout(() => response.end(workload), 2)),
    );
    const services = [{ name: 'checkout', port: 80, protocol: 'http', application }] as const;
    const sidecar = await mesh.sidecar({ cluster: 'west', workload, services });
    return { workload, sidecar };
  }

  function endpointOf(workload: string, path: 'direct' | 'gateway', addresses: SocketAddress[]) {
    return testEndpoint(mesh, 'checkout', { cluster: 'west', workload, addresses, path });
  }

  /** Calls without a pause until `work` is done; `work` can wait for more answers. */
  async function failuresDuring(
    host: string,
    work: (more: () => Promise<void>) => Promise<void>,
  ): Promise<readonly number[]> {
    const statuses: number[] = [];
    let isDone = false;
    const load = Array.from({ length: CALLERS }, async () => {
      const agent = keepAliveAgent();
      while (!isDone) statuses.push((await call(web.outboundHttp, { host, agent })).status);
      agent.destroy();
    });
    try {
      await work(async () => {
        const seen = statuses.length;
        await eventually('traffic flows', () => statuses.length >= seen + 100);
      });
    } finally {
      isDone = true;
      await Promise.all(load);
    }
    return statuses.filter(status => status !== 200);
  }

  it('neither to sidecars that stop and start', async () => {
    const start = async (workload: string) => {
      const { sidecar } = await serve(workload);
      return { sidecar, endpoint: endpointOf(workload, 'direct', [sidecar.inbound]) };
    };
    let [old, next] = await Promise.all([start('w0'), start('w1')]);
    const host = announce(web.link, 'checkout', 'http', [old.endpoint, next.endpoint]);
    const failures = await failuresDuring(host, async more => {
      for (let round = 0; round < ROUNDS; round++) {
        await more();
        const fresh = await start(`w${round + 2}`);
        announce(web.link, 'checkout', 'http', [next.endpoint, fresh.endpoint]);
        await old.sidecar.stop();
        [old, next] = [next, fresh];
      }
    });
    expect(failures).to.deep.equal([]);
  });

  it('nor to gateways that restart one after the other, of which nobody tells the caller', async () => {
    const { sidecar } = await serve('w');
    const { hash, workload } = endpointOf('w', 'gateway', []);
    const sni = formatSni(serviceSni('west', 'checkout'));
    const start = async (): Promise<RunningGateway> => {
      const gateway = await mesh.gateway('west', GATEWAY_DRAIN);
      const endpoints = [{ hash, workload, address: sidecar.inbound }];
      gateway.link.gatewayRoutes.put(sni, { sni, endpoints });
      return gateway;
    };
    let [old, next] = await Promise.all([start(), start()]);
    const tell = (...gateways: RunningGateway[]): string => {
      const addresses = gateways.map(({ address }) => address);
      return announce(web.link, 'checkout', 'http', [endpointOf(workload, 'gateway', addresses)]);
    };
    /** As many gateways as there are have answered a probe. */
    const probed = async (): Promise<void> => {
      const answered = async (): Promise<number> => {
        const evidence = (await adminJson(web, '/debug/liveness')) as { rttMs?: number }[];
        return evidence.filter(({ rttMs }) => rttMs !== undefined).length;
      };
      while ((await answered()) < 2) await new Promise(resolve => setTimeout(resolve, 50));
    };
    const host = tell(old, next);
    const failures = await failuresDuring(host, async more => {
      for (let restart = 0; restart < GATEWAY_RESTARTS; restart++) {
        await more();
        await probed();
        await old.stop();
        await more();
        const fresh = await start();
        tell(next, fresh);
        [old, next] = [next, fresh];
      }
    });
    expect(failures).to.deep.equal([]);
  });

  it('nor to endpoints that the agent names and takes back', async () => {
    const workloads = await Promise.all(['a', 'b', 'c'].map(serve));
    const endpoints = workloads.map(({ workload, sidecar: { inbound } }) =>
      endpointOf(workload, 'direct', [inbound]),
    );
    const host = announce(web.link, 'checkout', 'http', endpoints);
    const failures = await failuresDuring(host, async more => {
      for (let round = 0; round < 5 * ROUNDS; round++) {
        await more();
        const without = round % endpoints.length;
        announce(
          web.link,
          'checkout',
          'http',
          endpoints.filter((_, at) => at !== without),
        );
      }
    });
    expect(failures).to.deep.equal([]);
  });
});
