import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import type { SocketAddress } from '../../../src/mesh/address.ts';
import type { ClusterName } from '../../../src/mesh/names.ts';
import type { Svid } from '../../../src/trust-federation/identity/svid.ts';
import { PROBE_BYTES, PROBE_ECHO_BYTES_MAX } from '../../../src/trust-federation/limits.ts';
import { anyIdentity } from '../../../src/trust-federation/peers/authorizer.ts';
import { meshClientTls } from '../../../src/trust-federation/peers/tls.ts';
import {
  dialProbe,
  PROBE_PROTOCOL,
  type ProbeConnection,
} from '../../../src/trust-federation/probes/peer-probe.ts';
import { formatProbeSni } from '../../../src/wire/sni.ts';
import { type RunningGateway, TestMesh } from '../../support/data-plane.ts';
import { eventually } from '../../support/mesh.ts';
import { testSvid } from '../pki.ts';

const WEST = 'west' as ClusterName;
const GATEWAY = 'ns/isthmus-system/sa/east-west-gateway';

describe('a probe of another cluster', () => {
  let mesh: TestMesh;
  let gateway: RunningGateway;
  let svid: Svid;
  const opened: ProbeConnection[] = [];

  beforeEach(async () => {
    mesh = new TestMesh('east', 'west');
    gateway = await mesh.gateway('west', '5s');
    svid = testSvid(mesh.authority('east'), GATEWAY, Date.now());
  });
  afterEach(async () => {
    for (const connection of opened.splice(0)) connection.close();
    await mesh.stop();
  });

  const dial = async (address: SocketAddress, withinMs = 5_000, as = svid) => {
    const { bundle } = mesh.authority('west');
    const target = { cluster: WEST, address };
    const outcome = await dialProbe(target, as, bundle, { withinMs, now: Date.now });
    if (outcome.kind === 'open') opened.push(outcome.connection);
    return outcome;
  };
  const open = async (): Promise<ProbeConnection> => {
    const outcome = await dial(gateway.address);
    if (outcome.kind === 'failed') throw new Error(outcome.reason);
    return outcome.connection;
  };
  /** A server that does to each connection what the test says. */
  const faulty = (onConnection: (socket: Socket) => void): Promise<SocketAddress> =>
    mesh.application(onConnection);
  const refusals = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${gateway.admin.port}/metrics`)).text();

  it('goes through a whole mTLS handshake, and every ping comes back', async () => {
    const connection = await open();
    for (let i = 0; i < 5; i++) {
      const ping = await connection.ping(5_000);
      expect(ping).to.include({ kind: 'answered', isDraining: false });
    }
  });

  it('is told when the gateway is about to stop', async () => {
    const connection = await open();
    // Something that the gateway has to wait for.
    const held = connect(gateway.address.port, gateway.address.host);
    await once(held, 'connect');
    const stopped = gateway.stop();
    await eventually(async () => {
      expect(await connection.ping(5_000)).to.include({ kind: 'answered', isDraining: true });
    });
    expect(await dial(gateway.address)).to.deep.equal({ kind: 'failed', reason: 'refused' });
    held.destroy();
    await stopped;
    expect(await connection.ping(5_000)).to.include({ kind: 'failed' });
  });

  it('finds that nobody listens', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    const outcome = await dial({ host: '127.0.0.1', port });
    expect(outcome).to.deep.equal({ kind: 'failed', reason: 'refused' });
  });

  it('finds a gateway that accepts and then stalls', async () => {
    const address = await faulty(() => undefined);
    expect(await dial(address, 100)).to.deep.equal({ kind: 'failed', reason: 'hung' });
  });

  it('finds a gateway that breaks off after the hello', async () => {
    const address = await faulty(socket => socket.once('data', () => socket.resetAndDestroy()));
    expect(await dial(address)).to.deep.equal({ kind: 'failed', reason: 'reset' });
    const closing = await faulty(socket => socket.once('data', () => socket.destroy()));
    expect(await dial(closing)).to.deep.equal({ kind: 'failed', reason: 'reset' });
  });

  it('finds that it was led to another cluster', async () => {
    const other = await mesh.gateway('east', '5s');
    // It knows the name is not its own, and closes.
    expect(await dial(other.address)).to.include({ kind: 'failed' });
    const { bundle } = mesh.authority('west');
    const target = { cluster: 'east' as ClusterName, address: other.address };
    const outcome = await dialProbe(target, svid, bundle, { withinMs: 5_000, now: Date.now });
    expect(outcome).to.deep.equal({ kind: 'failed', reason: 'wrong-peer' });
  });

  it('finds a path that carries the handshake and then nothing, in either direction', async () => {
    for (const lost of ['there', 'back'] as const) {
      let isLossy = false;
      const address = await faulty(caller => {
        const onward = connect(gateway.address.port, gateway.address.host);
        onward.on('error', () => undefined);
        caller.on('close', () => onward.destroy());
        caller.on('data', (bytes: Buffer) => {
          if (!isLossy || lost !== 'there') onward.write(bytes);
        });
        onward.on('data', (bytes: Buffer) => {
          if (!isLossy || lost !== 'back') caller.write(bytes);
        });
      });
      const outcome = await dial(address);
      if (outcome.kind === 'failed') throw new Error(outcome.reason);
      expect(await outcome.connection.ping(5_000)).to.include({ kind: 'answered' });
      isLossy = true;
      expect(await outcome.connection.ping(100)).to.deep.equal({ kind: 'failed', reason: 'hung' });
      expect(outcome.connection.isOpen).to.equal(false);
    }
  });

  it('is answered only to callers that prove who they are', async () => {
    const stranger = testSvid(new TestMesh('east').authority('east'), GATEWAY, Date.now());
    const outcome = await dial(gateway.address, 5_000, stranger);
    if (outcome.kind === 'open') {
      // TLS 1.3: a client learns that it was refused when it reads.
      expect(await outcome.connection.ping(5_000)).to.include({ kind: 'failed' });
    }
    await eventually(async () => {
      expect(await refusals()).to.match(
        /isthmus_gateway_refused_total\{reason="(?:untrusted|tls-handshake)".*\} 1/,
      );
    });
    expect(await (await open()).ping(5_000)).to.include({ kind: 'answered' });
  });

  it('gets no more echoed than a probe needs', async () => {
    const { bundle } = mesh.authority('west');
    const socket = connectTls({
      ...meshClientTls(svid, bundle, anyIdentity, Date.now),
      ...gateway.address,
      servername: formatProbeSni(WEST),
      ALPNProtocols: [PROBE_PROTOCOL],
    });
    socket.on('error', () => undefined);
    let echoed = 0;
    const ping = Buffer.alloc(PROBE_BYTES, 1);
    socket.on('data', (bytes: Buffer) => {
      echoed += bytes.length;
      if (echoed % PROBE_BYTES === 0) socket.write(ping);
    });
    socket.write(ping);
    await once(socket, 'close');
    expect(echoed).to.equal(PROBE_ECHO_BYTES_MAX);
  });
});
