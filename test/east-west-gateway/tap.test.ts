import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { TAPS_MAX } from '../../src/east-west-gateway/limits.ts';
import type { WorkloadName } from '../../src/mesh/names.ts';
import type { EndpointHash } from '../../src/mesh/service.ts';
import { formatSni } from '../../src/wire/sni.ts';
import { eventually, type RunningGateway, serviceSni, TestMesh } from '../support/data-plane.ts';
import { realHello } from '../wire/client-hello-bytes.ts';

describe('a tap on the gateway', () => {
  let mesh: TestMesh;
  let gateway: RunningGateway;
  const sni = formatSni(serviceSni('west', 'payments'));
  beforeEach(async () => {
    mesh = new TestMesh('west');
    gateway = await mesh.gateway('west');
    const address = await mesh.application(socket =>
      socket.once('data', () => socket.end('answer')),
    );
    const hash = '00000000000000aa' as EndpointHash;
    const workload = 'payments-0' as WorkloadName;
    gateway.link.gatewayRoutes.put(sni, { sni, endpoints: [{ hash, workload, address }] });
  });
  afterEach(() => mesh.stop());

  function tap(query: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${gateway.admin.port}/tap?${query}`);
  }

  async function pass(): Promise<Buffer> {
    const hello = await realHello({ servername: sni });
    const socket = connect(gateway.address);
    socket.end(hello);
    socket.resume();
    await once(socket, 'close');
    return hello;
  }

  it('copies what is relayed in both directions, up to its size', async () => {
    const response = await tap('bytesMax=200&durationMs=60000');
    const hello = await pass();
    const copy = Buffer.from(await response.arrayBuffer());
    expect(copy.equals(Buffer.concat([hello, Buffer.from('answer')]).subarray(0, 200))).to.equal(
      true,
    );
    expect(copy.length).to.equal(200);
  });

  it('ends with its time', async () => {
    const response = await tap('bytesMax=1000000&durationMs=50');
    expect((await response.arrayBuffer()).byteLength).to.equal(0);
  });

  it('is refused when it asks for more than is allowed, and allowed at the most', async () => {
    for (const query of ['bytesMax=99999999999', 'durationMs=60001', 'bytesMax=0', 'bytesMax=x']) {
      expect((await tap(query)).status, query).to.equal(400);
    }
    expect((await tap('durationMs=10')).status).to.equal(200);
  });

  it('is refused when too many are open, and allowed when one has gone', async () => {
    const open = await Promise.all(Array.from({ length: TAPS_MAX }, () => tap('durationMs=60000')));
    expect((await tap('durationMs=10')).status).to.equal(429);
    await open[0]?.body?.cancel();
    let status = 0;
    for (let i = 0; i < 100 && status !== 200; i++) status = (await tap('durationMs=10')).status;
    expect(status).to.equal(200);
    for (const response of open.slice(1)) await response.body?.cancel();
  });

  it('shares the admin server with the routes and connections', async () => {
    const read = async (path: string) =>
      (await fetch(`http://127.0.0.1:${gateway.admin.port}${path}`)).json();
    expect(await read('/ready')).to.deep.equal({ ready: true });
    expect(await read('/debug/routes')).to.have.length(1);
    const socket = connect({ ...gateway.address, allowHalfOpen: true });
    socket.write(await realHello({ servername: sni }));
    await once(socket, 'data');
    const [connection] = (await read('/debug/connections')) as [{ sni: string; bytes: object }];
    expect(connection).to.include({ sni, workload: 'payments-0' });
    expect(connection.bytes).to.include({ 'to-caller': 6 });
    socket.end();
    socket.resume();
    await eventually('the connection ends', () => socket.destroyed);
  });
});
