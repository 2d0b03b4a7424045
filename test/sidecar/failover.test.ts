import { createServer } from 'node:http';
import { expect } from 'chai';
import type { SocketAddress } from '../../src/mesh/address.ts';
import { SLOW_START_MS, TRIAL_FIRST_MS } from '../../src/mesh/outlier-detection.ts';
import { formatSni } from '../../src/wire/sni.ts';
import {
  announce,
  type RunningSidecar,
  serviceSni,
  TestMesh,
  testEndpoint,
} from '../support/data-plane.ts';
import { Door } from '../support/door.ts';
import { call } from '../support/http-client.ts';
import { eventually } from '../support/mesh.ts';
import { outOfService } from './pair.ts';

const CLOSED: SocketAddress = { host: '127.0.0.1', port: 1 };

describe('with more than one endpoint, a call', () => {
  let mesh: TestMesh;
  let nowMs: number;
  let web: RunningSidecar;
  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    nowMs = Date.now();
    web = await mesh.sidecar({ cluster: 'east', workload: 'web', now: () => nowMs });
  });
  afterEach(() => mesh.stop());

  /** A sidecar of west whose application answers its workload's name. */
  async function checkout(workload: string): Promise<RunningSidecar> {
    const application = await mesh.serve(createServer((_q, response) => response.end(workload)));
    return mesh.sidecar({
      cluster: 'west',
      workload,
      services: [{ name: 'checkout', port: 80, protocol: 'http', application }],
    });
  }

  function endpoint(workload: string, ...addresses: SocketAddress[]) {
    return testEndpoint(mesh, 'checkout', { cluster: 'west', workload, addresses });
  }

  async function answers(host: string, count: number): Promise<string[]> {
    const bodies: string[] = [];
    for (let i = 0; i < count; i++) {
      bodies.push((await call(web.outboundHttp, { host })).body.toString());
    }
    return bodies;
  }

  it('goes to each in turn', async () => {
    const [a, b] = await Promise.all([checkout('a'), checkout('b')]);
    const host = announce(web.link, 'checkout', 'http', [
      endpoint('a', a.inbound),
      endpoint('b', b.inbound),
    ]);
    expect(await answers(host, 4)).to.deep.equal(['a', 'b', 'a', 'b']);
  });

  it('goes to the nearer ones while they can be reached, then to the others', async () => {
    const [near, far] = await Promise.all([checkout('near'), checkout('far')]);
    const host = announce(web.link, 'checkout', 'http', [
      { ...endpoint('far', far.inbound), priority: 2 },
      endpoint('near', near.inbound),
    ]);
    expect(await answers(host, 2)).to.deep.equal(['near', 'near']);
    await near.stop();
    expect(await answers(host, 2)).to.deep.equal(['far', 'far']);
  });

  it('fails on none when one refuses connections, and avoids it until it can be reached', async () => {
    const [a, b] = await Promise.all([checkout('a'), checkout('b')]);
    const door = await new Door(() => a.inbound).set('open');
    await door.set('shut');
    const host = announce(web.link, 'checkout', 'http', [
      endpoint('a', door.address),
      endpoint('b', b.inbound),
    ]);
    const first = await call(web.outboundHttp, { host, headers: { 'x-isthmus-explain': '1' } });
    expect(first.headers['x-isthmus-upstream']).to.match(/workload=b;.*attempts=2$/);
    const next = await call(web.outboundHttp, { host, headers: { 'x-isthmus-explain': '1' } });
    expect(next.headers['x-isthmus-upstream']).to.match(/workload=b;.*attempts=1$/);
    expect(await outOfService(web)).to.deep.equal(['a']);

    await door.set('open');
    expect(await answers(host, 2)).to.deep.equal(['b', 'b']);
    nowMs += TRIAL_FIRST_MS;
    await eventually(async () => expect(await outOfService(web)).to.deep.equal([]));
    nowMs += SLOW_START_MS;
    await eventually(async () => expect(await answers(host, 2)).to.have.members(['a', 'b']));
    await door.set('shut');
  });

  it('goes elsewhere when the application is down behind a sidecar that is up', async () => {
    const a = await mesh.sidecar({
      cluster: 'west',
      workload: 'a',
      services: [{ name: 'checkout', port: 80, protocol: 'http', application: CLOSED }],
    });
    const b = await checkout('b');
    const host = announce(web.link, 'checkout', 'http', [
      endpoint('a', a.inbound),
      endpoint('b', b.inbound),
    ]);
    const reply = await call(web.outboundHttp, { host, method: 'POST', body: 'once' });
    expect(reply.body.toString()).to.equal('b');
  });

  it('reaches an endpoint through its second gateway when the first is down', async () => {
    const a = await checkout('a');
    const gateway = await mesh.gateway('west');
    const far = {
      ...endpoint('a', CLOSED, gateway.address),
      path: 'gateway' as const,
    };
    const sni = formatSni(serviceSni('west', 'checkout'));
    gateway.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: [{ hash: far.hash, workload: far.workload, address: a.inbound }],
    });
    const host = announce(web.link, 'checkout', 'http', [far]);
    expect(await answers(host, 2)).to.deep.equal(['a', 'a']);
  });

  it('through a gateway ejects the endpoint that is gone and not its neighbour', async () => {
    const b = await checkout('b');
    const gateway = await mesh.gateway('west');
    const [goneEndpoint, liveEndpoint] = ['a', 'b'].map(workload => ({
      ...endpoint(workload, gateway.address),
      path: 'gateway' as const,
    }));
    const sni = formatSni(serviceSni('west', 'checkout'));
    gateway.link.gatewayRoutes.put(sni, {
      sni,
      endpoints: [
        { hash: goneEndpoint!.hash, workload: goneEndpoint!.workload, address: CLOSED },
        { hash: liveEndpoint!.hash, workload: liveEndpoint!.workload, address: b.inbound },
      ],
    });
    const host = announce(web.link, 'checkout', 'http', [goneEndpoint!, liveEndpoint!]);
    expect(await answers(host, 4)).to.deep.equal(['b', 'b', 'b', 'b']);
    expect(await outOfService(web)).to.deep.equal(['a']);
  });

  it('to the only endpoint survives the restart of its sidecar', async () => {
    const before = await checkout('a');
    const host = announce(web.link, 'checkout', 'http', [endpoint('a', before.inbound)]);
    expect(await answers(host, 1)).to.deep.equal(['a']);
    await before.stop();
    const after = await checkout('a');
    announce(web.link, 'checkout', 'http', [endpoint('a', after.inbound)]);
    expect(await answers(host, 2)).to.deep.equal(['a', 'a']);
  });
});
