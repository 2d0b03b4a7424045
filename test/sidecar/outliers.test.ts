/** Endpoints and gateways that fail in one way or another lose what is theirs to lose, and no more. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect } from 'chai';
import {
  EJECTION_FIRST_MS,
  SLOW_START_MS,
  TRIAL_FIRST_MS,
} from '../../src/mesh/outlier-detection.ts';
import { HUNG_MS } from '../../src/sidecar/limits.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  type RunningGateway,
  type RunningSidecar,
  serviceSni,
  TestMesh,
} from '../support/data-plane.ts';
import { Door } from '../support/door.ts';
import { call } from '../support/http-client.ts';
import { eventually } from '../support/mesh.ts';
import { adminJson, type Backend, metricsOf, outOfService, startBackend } from './pair.ts';

const error500 = (_request: IncomingMessage, response: ServerResponse): void => {
  response.statusCode = 500;
  response.end('bad');
};

describe('an endpoint', function () {
  this.timeout(20_000);
  let mesh: TestMesh;
  let nowMs: number;
  let web: RunningSidecar;
  const doors: Door[] = [];
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    nowMs = Date.now();
    web = await mesh.sidecar({ cluster: 'east', workload: 'web', now: () => nowMs });
  });
  afterEach(async () => {
    for (const door of doors.splice(0)) await door.set('shut');
    await mesh.stop();
  });

  async function statuses(host: string, count: number): Promise<number[]> {
    const found: number[] = [];
    for (let i = 0; i < count; i++) found.push((await call(web.outboundHttp, { host })).status);
    return found;
  }

  async function served(host: string, count: number): Promise<Record<string, number>> {
    const by: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const body = (await call(web.outboundHttp, { host })).body.toString();
      by[body] = (by[body] ?? 0) + 1;
    }
    return by;
  }

  /** Through gateways of west; `behind` is where each endpoint is found by them. */
  async function gateways(count: number, backends: readonly Backend[]): Promise<RunningGateway[]> {
    const started = await Promise.all(Array.from({ length: count }, () => mesh.gateway('west')));
    for (const gateway of started) route(gateway, backends);
    return started;
  }

  function route(
    gateway: RunningGateway,
    backends: readonly Backend[],
    service = 'checkout',
  ): void {
    const sni = formatSni(serviceSni('west', service));
    gateway.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: backends.map(({ endpoint, sidecar }) => ({
        hash: endpoint.hash,
        workload: endpoint.workload,
        address: sidecar.inbound,
      })),
    });
  }

  it('of ten that answers badly loses its own share only, behind a gateway', async () => {
    const backends = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        startBackend(mesh, `w${i}`, i === 3 ? error500 : undefined),
      ),
    );
    const [gateway] = (await gateways(1, backends)) as [RunningGateway];
    const endpoints = backends.map(({ endpoint }) => ({
      ...endpoint,
      addresses: [gateway.address],
      path: 'gateway' as const,
    }));
    const host = announce(web.link, 'checkout', 'http', endpoints);
    const bad = (await statuses(host, 100)).filter(status => status === 500).length;
    expect(bad).to.equal(5);
    expect(await outOfService(web)).to.deep.equal(['w3']);
    const after = await served(host, 90);
    expect(Object.keys(after)).to.have.length(9);
    for (const count of Object.values(after)) expect(count).to.be.within(9, 11);

    nowMs += EJECTION_FIRST_MS * 1.2;
    await eventually(async () => expect(await outOfService(web)).to.deep.equal([]));
  });

  it('is not ejected when half of them are already, and calls go on', async () => {
    const backends = await Promise.all(
      ['a', 'b', 'c', 'd'].map(workload => startBackend(mesh, workload, error500)),
    );
    const endpoints = backends.map(({ endpoint }) => endpoint);
    const host = announce(web.link, 'checkout', 'http', endpoints);
    expect(new Set(await statuses(host, 60))).to.deep.equal(new Set([500]));
    expect(await outOfService(web)).to.have.length(2);
    expect(await metricsOf(web)).to.match(
      /isthmus_endpoints_out_total\{[^}]*reason="bad-answers"[^}]*\} 2\n/,
    );
  });

  it('is used again when too few are left, unless it cannot be reached', async () => {
    const good = await startBackend(mesh, 'good');
    const bad = await Promise.all(
      ['bad-0', 'bad-1'].map(workload => startBackend(mesh, workload, error500)),
    );
    const shut = await new Door(() => good.sidecar.inbound).set('open');
    await shut.set('shut');
    const gone = { ...(await startBackend(mesh, 'gone')).endpoint, addresses: [shut.address] };
    const endpoints = [good.endpoint, ...bad.map(({ endpoint }) => endpoint), gone];
    const host = announce(web.link, 'checkout', 'http', endpoints, { ejectedPercentMax: 75 });
    await statuses(host, 40);
    expect(await outOfService(web)).to.deep.equal(['bad-0', 'bad-1', 'gone']);
    const panicking = await statuses(host, 30);
    expect(panicking.filter(status => status === 500).length).to.equal(20);
    expect(await metricsOf(web)).to.match(/isthmus_upstreams_panicking\{[^}]*\} 1\n/);
  });

  it('that hangs is left within seconds, and asked again only when it answers a trial', async () => {
    const [slow, good] = await Promise.all([
      startBackend(mesh, 'slow'),
      startBackend(mesh, 'good'),
    ]);
    const door = await new Door(() => slow.sidecar.inbound).set('open');
    doors.push(door);
    const endpoints = [{ ...slow.endpoint, addresses: [door.address] }, good.endpoint];
    const policy = { tryTimeoutMs: 200 };
    const host = announce(web.link, 'checkout', 'http', endpoints, policy);
    expect(await served(host, 4)).to.deep.equal({ slow: 2, good: 2 });
    await door.set('held');
    // The clock of the sidecar stands still, so the unanswered ping of the session is what tells.
    await eventually(async () => expect(await outOfService(web)).to.deep.equal(['slow']));
    expect(await served(host, 4)).to.deep.equal({ good: 4 });
    await door.set('open');
    nowMs += TRIAL_FIRST_MS;
    await eventually(async () => expect(await outOfService(web)).to.deep.equal([]));
  });

  it('that never answers is left also by calls that cannot be repeated', async () => {
    const hung: ServerResponse[] = [];
    const [mute, good] = await Promise.all([
      startBackend(mesh, 'mute', (_request, response) => hung.push(response)),
      startBackend(mesh, 'good'),
    ]);
    const endpoints = [mute.endpoint, good.endpoint];
    const host = announce(web.link, 'checkout', 'http', endpoints);
    const calls = Array.from({ length: 10 }, () =>
      call(web.outboundHttp, { host, method: 'POST', body: 'once' }),
    );
    await eventually(() => expect(hung).to.have.length(5));
    nowMs += HUNG_MS;
    await eventually(async () => expect(await outOfService(web)).to.deep.equal(['mute']));
    for (const response of hung) response.end('late');
    expect((await Promise.all(calls)).map(({ status }) => status)).to.deep.equal(
      Array.from({ length: 10 }, () => 200),
    );
    expect([mute.requests.length, good.requests.length]).to.deep.equal([5, 5]);
  });

  it('that dies with many calls in hand has failed once, and is ejected when it does so again and again', async () => {
    const held: ServerResponse[] = [];
    const mortal = await startBackend(mesh, 'mortal', (_request, response) => held.push(response));
    const good = await startBackend(mesh, 'good');
    const die = (): void => {
      for (const response of held.splice(0)) response.socket?.resetAndDestroy();
    };
    const host = announce(web.link, 'checkout', 'http', [mortal.endpoint, good.endpoint]);
    const post = () => call(web.outboundHttp, { host, method: 'POST', body: 'once' });
    const calls = Array.from({ length: 20 }, post);
    await eventually(() => expect(held).to.have.length(10));
    die();
    await Promise.all(calls);
    expect(await outOfService(web)).to.deep.equal([]);
    for (let again = 0; again < 4; again++) {
      const two = [post(), post()];
      await eventually(() => expect(held).to.have.length(1));
      die();
      await Promise.all(two);
    }
    expect(await outOfService(web)).to.deep.equal(['mortal']);
  });

  it('that comes back gets its share little by little', async () => {
    const [near, far] = await Promise.all([startBackend(mesh, 'near'), startBackend(mesh, 'far')]);
    const door = await new Door(() => near.sidecar.inbound).set('open');
    doors.push(door);
    const endpoints = [
      { ...near.endpoint, addresses: [door.address] },
      { ...far.endpoint, priority: 1 },
    ];
    const host = announce(web.link, 'checkout', 'http', endpoints);
    expect(await served(host, 5)).to.deep.equal({ near: 5 });
    await door.set('shut');
    expect(await served(host, 5)).to.deep.equal({ far: 5 });
    await door.set('open');
    nowMs += TRIAL_FIRST_MS;
    await eventually(async () => expect(await outOfService(web)).to.deep.equal([]));
    const first = await served(host, 40);
    expect(first['near']).to.be.within(3, 5);
    nowMs += SLOW_START_MS / 2;
    await eventually(async () => expect((await served(host, 20))['near']).to.be.within(10, 12));
    nowMs += SLOW_START_MS / 2;
    await eventually(async () => expect(await served(host, 10)).to.deep.equal({ near: 10 }));
  });

  it('takes turns by its weight', async () => {
    const backends = await Promise.all(['a', 'b'].map(workload => startBackend(mesh, workload)));
    const endpoints = backends.map(({ endpoint }, i) => ({ ...endpoint, weight: i === 0 ? 1 : 3 }));
    const host = announce(web.link, 'checkout', 'http', endpoints);
    expect(await served(host, 40)).to.deep.equal({ a: 10, b: 30 });
  });

  it('is called less while it is busy, where the service asks for that', async () => {
    const held: ServerResponse[] = [];
    const busy = await startBackend(mesh, 'busy', (request, response) => {
      if (request.url === '/hold') held.push(response);
      else response.end('busy');
    });
    const idle = await startBackend(mesh, 'idle');
    const caller = await mesh.sidecar({
      cluster: 'east',
      workload: 'caller',
      random: Math.random,
    });
    const policy = { balancing: 'least-request' } as const;
    const host = announce(caller.link, 'checkout', 'http', [busy.endpoint], policy);
    const waiting = Array.from({ length: 5 }, () =>
      call(caller.outboundHttp, { host, path: '/hold' }),
    );
    await eventually(() => expect(held).to.have.length(5));
    announce(caller.link, 'checkout', 'http', [busy.endpoint, idle.endpoint], policy);
    for (let i = 0; i < 200; i++) await call(caller.outboundHttp, { host });
    // Drawn twice it is chosen: a quarter of the time.
    expect(idle.requests.length).to.be.within(110, 190);
    const inFlight = async (): Promise<readonly number[]> => {
      const [shown] = (await adminJson(caller, '/debug/upstreams')) as {
        endpoints: { inFlight: number }[];
      }[];
      return shown?.endpoints.map(each => each.inFlight) ?? [];
    };
    expect(await inFlight()).to.deep.equal([5, 0]);
    for (const response of held) response.end();
    await Promise.all(waiting);
    await eventually(async () => expect(await inFlight()).to.deep.equal([0, 0]));
  });

  describe('behind two gateways', () => {
    it('is in service when one of them is down, and loses no call', async () => {
      const backends = await Promise.all(['a', 'b'].map(workload => startBackend(mesh, workload)));
      const [one, other] = (await gateways(2, backends)) as [RunningGateway, RunningGateway];
      const door = await new Door(() => one.address).set('open');
      doors.push(door);
      const endpoints = backends.map(({ endpoint }) => ({
        ...endpoint,
        addresses: [door.address, other.address],
        path: 'gateway' as const,
      }));
      const host = announce(web.link, 'checkout', 'http', endpoints);
      expect(await served(host, 8)).to.deep.equal({ a: 4, b: 4 });
      await door.set('shut');
      expect(await served(host, 8)).to.deep.equal({ a: 4, b: 4 });
      expect(await outOfService(web)).to.deep.equal([]);
      expect(await metricsOf(web)).to.match(/isthmus_gateways_out\{[^}]*\} 1\n/);

      await door.set('open');
      nowMs += TRIAL_FIRST_MS;
      await eventually(async () =>
        expect(await metricsOf(web)).to.match(/isthmus_gateways_out\{[^}]*\} 0\n/),
      );
    });

    it('is the only one to leave when it is gone itself', async () => {
      const backends = await Promise.all(['a', 'b'].map(workload => startBackend(mesh, workload)));
      const both = await gateways(2, backends);
      const endpoints = backends.map(({ endpoint }) => ({
        ...endpoint,
        addresses: both.map(({ address }) => address),
        path: 'gateway' as const,
      }));
      const host = announce(web.link, 'checkout', 'http', endpoints);
      expect(await served(host, 8)).to.deep.equal({ a: 4, b: 4 });
      await backends[0]?.sidecar.stop();
      expect(await served(host, 8)).to.deep.equal({ b: 8 });
      expect(await metricsOf(web)).to.match(/isthmus_gateways_out\{[^}]*\} 0\n/);
    });
  });

  it('of a service that its gateway swallows fails over for that service alone', async () => {
    const [swallowed, elsewhere, paid] = await Promise.all([
      startBackend(mesh, 'swallowed'),
      startBackend(mesh, 'elsewhere'),
      startBackend(mesh, 'paid', undefined, 'payments'),
    ]);
    const hole = await mesh.application(() => undefined);
    const gateway = await mesh.gateway('west');
    const through = { addresses: [gateway.address], path: 'gateway' as const };
    route(gateway, [{ ...swallowed, sidecar: { ...swallowed.sidecar, inbound: hole } }]);
    route(gateway, [paid], 'payments');
    const payments = announce(web.link, 'payments', 'http', [{ ...paid.endpoint, ...through }]);
    const checkout = announce(web.link, 'checkout', 'http', [
      { ...swallowed.endpoint, ...through },
      { ...elsewhere.endpoint, priority: 1 },
    ]);
    expect(await served(checkout, 3)).to.deep.equal({ elsewhere: 3 });
    expect(await outOfService(web)).to.deep.equal(['swallowed']);
    expect(await served(payments, 3)).to.deep.equal({ paid: 3 });
    expect(await metricsOf(web)).to.match(/isthmus_gateways_out\{[^}]*\} 0\n/);
  });
});
