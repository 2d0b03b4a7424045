import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { closeServer, listen } from '../../src/runtime/listen.ts';
import { meshErrorOf } from './rejection.ts';

describe('listening', () => {
  const anyPort = { host: '127.0.0.1', port: 0 };

  it('gives the port that was bound', async () => {
    const server = createServer();
    const bound = await listen(server, anyPort);
    expect(bound.host).to.equal('127.0.0.1');
    expect(bound.port).to.be.greaterThan(0);
    await closeServer(server);
  });

  it('on a taken port names the address and how to find who has it', async () => {
    const first = createServer();
    const bound = await listen(first, anyPort);
    const second = createServer();
    const error = await meshErrorOf(listen(second, bound), 'ADDRESS_IN_USE');
    expect(error.message).to.include(`"127.0.0.1:${bound.port}"`).and.to.include('ss -ltnp');
    await closeServer(first);
    await listen(second, bound);
    await closeServer(second);
  });

  it('on an address of another machine says so', async () => {
    // 192.0.2.0/24 is for documentation (RFC 5737): no interface has it.
    const server = createServer();
    const elsewhere = { host: '192.0.2.1', port: 0 };
    const error = await meshErrorOf(listen(server, elsewhere), 'ADDRESS_UNAVAILABLE');
    expect(error.message).to.include('"192.0.2.1:0"').and.to.include('an address of this machine');
  });

  it('stops at once when nothing is connected, and when it never began', async () => {
    const server = createServer();
    await closeServer(server);
    await listen(server, anyPort);
    await closeServer(server);
    expect(server.listening).to.equal(false);
  });

  it('stops only when the last connection is gone', async () => {
    const server = createServer();
    const { port } = await listen(server, anyPort);
    const client = connect(port, '127.0.0.1');
    await once(server, 'connection');
    let closed = false;
    const closing = closeServer(server).then(() => {
      closed = true;
    });
    const late = connect(port, '127.0.0.1');
    await once(late, 'error');
    expect(closed).to.equal(false);
    client.destroy();
    await closing;
  });
});
