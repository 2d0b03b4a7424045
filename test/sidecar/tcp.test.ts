import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually, received, TestMesh } from '../support/data-plane.ts';
import { bytePair, metricsOf, type Path } from './pair.ts';

for (const path of ['direct', 'gateway'] as const satisfies readonly Path[]) {
  describe(`a TCP connection, ${path}`, () => {
    let mesh: TestMesh;
    beforeEach(() => {
      mesh = new TestMesh('east', 'west');
    });
    afterEach(() => mesh.stop());

    async function open(onConnection: (socket: Socket) => void): Promise<Socket> {
      const { web } = await bytePair(mesh, 'tcp', onConnection, path);
      return connect({ ...web.outboundTcp[0]!, allowHalfOpen: true });
    }

    it('carries what is said after the caller has ended its side', async () => {
      const client = await open(socket => {
        let heard = '';
        socket.on('data', chunk => (heard += String(chunk)));
        socket.on('end', () => socket.end(`heard ${heard}`));
      });
      client.end('all of it');
      expect((await received(client)).toString()).to.equal('heard all of it');
    });

    it('carries what is said after the application has ended its side', async () => {
      let heard = '';
      const client = await open(socket => {
        socket.end('bye');
        socket.on('data', chunk => (heard += String(chunk)));
      });
      client.resume();
      await once(client, 'end');
      client.end('still here');
      await eventually('the rest arrives', () => heard === 'still here');
    });

    it('carries an application that speaks first', async () => {
      const client = await open(socket => socket.end('220 ready'));
      client.end();
      expect((await received(client)).toString()).to.equal('220 ready');
    });

    it('echoes 20 MB unchanged', async () => {
      const client = await open(socket => socket.pipe(socket));
      const body = randomBytes(20 * 1024 * 1024);
      const echoed = received(client);
      client.end(body);
      expect((await echoed).equals(body)).to.equal(true);
    });

    it('that breaks off at the application breaks off for the caller, not ends', async () => {
      const client = await open(socket => socket.once('data', () => socket.resetAndDestroy()));
      client.write('x');
      let ended = false;
      client.on('end', () => (ended = true)).resume();
      const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
      expect(error.code).to.equal('ECONNRESET');
      expect(ended).to.equal(false);
    });

    it('that breaks off at the caller breaks off for the application, not ends', async () => {
      const seen: string[] = [];
      const client = await open(socket => {
        socket.on('data', () => seen.push('data'));
        socket.on('end', () => seen.push('end'));
        socket.on('close', () => seen.push('close'));
      });
      client.write('x');
      await eventually('the application hears', () => seen.includes('data'));
      client.resetAndDestroy();
      await eventually('the application sees it close', () => seen.includes('close'));
      expect(seen).to.not.include('end');
    });
  });
}

describe('a TCP connection', () => {
  let mesh: TestMesh;
  beforeEach(() => {
    mesh = new TestMesh('east', 'west');
  });
  afterEach(() => mesh.stop());

  it('to a service that the agent does not know is reset and counted', async () => {
    const web = await mesh.sidecar({ cluster: 'east', workload: 'web', tcp: ['nothing'] });
    const client = connect(web.outboundTcp[0]!);
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNRESET');
    expect(await metricsOf(web)).to.match(
      /isthmus_outbound_refused_total\{reason="no-route",[^}]*\} 1/,
    );
  });

  it('that is not read holds its sender back and nobody else', async () => {
    const { web } = await bytePair(mesh, 'tcp', socket => {
      socket.once('data', first => {
        if (String(first) === 'ping') socket.end('pong');
        else socket.pause();
      });
    });
    const stuck = connect(web.outboundTcp[0]!);
    const chunk = Buffer.alloc(64 * 1024);
    stuck.on('error', () => undefined);
    let taken = 0;
    const fill = (): void => {
      while (stuck.write(chunk, () => (taken += chunk.length)));
    };
    fill();
    stuck.on('drain', fill);
    let before = -1;
    // The kernel's buffers on four sockets, and our own windows: it must come to a stand.
    await eventually('the sender is held back', () => {
      const still = taken === before && stuck.writableNeedDrain;
      before = taken;
      return still;
    });
    const client = connect({ ...web.outboundTcp[0]!, allowHalfOpen: true });
    client.write('ping');
    client.once('data', () => client.end());
    expect((await received(client)).toString()).to.equal('pong');
    stuck.destroy();
  });
});
