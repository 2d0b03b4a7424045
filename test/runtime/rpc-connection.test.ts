import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { describe, it } from 'mocha';
import { certificatesPem, keyPem } from '../../src/trust-federation/x509/pem.ts';
import { Gate } from './gate.ts';
import { meshErrorOf } from './rejection.ts';
import { clientSvid, type Note, Notes, useNotes } from './rpc-fixture.ts';

const { ask } = Notes.methods;
const note = (text: string): Note => ({ text });

describe('a gRPC connection handed over', () => {
  const serve = useNotes();

  it('keeps the calls of one connection apart: one that fails leaves the others alone', async () => {
    const release = new Gate();
    const { channel } = await serve({
      ask: async ({ text }) => {
        if (text === 'fail') throw new Error('bug');
        await release.opened;
        return note('done');
      },
    });
    const waiting = channel.unary(ask, note('wait'));
    await meshErrorOf(channel.unary(ask, note('fail')), 'PROTOCOL_VIOLATION');
    release.open();
    expect(await waiting).to.deep.equal(note('done'));
  });

  it('is not hurt by a connection that speaks no HTTP/2', async () => {
    const { channel, address, sockets } = await serve({ ask: request => Promise.resolve(request) });
    await channel.unary(ask, note('before'));
    const garbage = connect({
      ...address,
      key: keyPem(clientSvid.key),
      cert: certificatesPem(clientSvid.chain),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await once(garbage, 'secureConnect');
    garbage.on('error', () => undefined);
    garbage.write(Buffer.alloc(10_000, 0x5a));
    garbage.resume();
    await once(garbage, 'close');
    expect(await channel.unary(ask, note('after'))).to.deep.equal(note('after'));
    expect(sockets).to.have.length(2);
  });

  it('lets a running call finish when the server closes, and then refuses new ones', async () => {
    const reached = new Gate();
    const release = new Gate();
    const { channel, rpc } = await serve({
      ask: async () => {
        reached.open();
        await release.opened;
        return note('done');
      },
    });
    const waiting = channel.unary(ask, note(''));
    await reached.opened;
    const closing = rpc.close(10_000);
    release.open();
    expect(await waiting).to.deep.equal(note('done'));
    await closing;
  });

  it('cuts a call that outlives the grace of a closing server', async () => {
    const reached = new Gate();
    const { channel, rpc } = await serve({
      ask: () => {
        reached.open();
        return new Promise(() => undefined);
      },
    });
    const waiting = channel.unary(ask, note(''), { deadlineMs: 60_000 });
    await reached.opened;
    await Promise.all([meshErrorOf(waiting, 'PEER_UNAVAILABLE'), rpc.close(20)]);
  });
});
