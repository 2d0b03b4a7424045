/** Our client and node:http2's server. */

import { once } from 'node:events';
import { constants, type ServerHttp2Stream } from 'node:http2';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { accept, closeAll, digest, openOn, stockServer, TEN_MEGABYTES } from './stock-peers.ts';

afterEach(closeAll);

describe('our client and a stock server', () => {
  it('carry a tunnel, and many writes of one turn as one', async () => {
    const { wire } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const callers = Array.from({ length: 20 }, () => openOn(wire));
    for (const [i, caller] of callers.entries()) caller.send(Buffer.alloc(100, i));
    const bodies = await Promise.all(callers.map(({ whole }) => whole));
    for (const [i, body] of bodies.entries()) {
      expect(body.equals(Buffer.alloc(100, i))).to.equal(true);
    }
    expect(await callers[0]!.status).to.equal(200);
    expect(wire.writes).to.be.lessThan(20);
  });

  it('carry 10 MB both ways at once, with both windows closing again and again', async () => {
    const { wire } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    caller.send(TEN_MEGABYTES);
    expect(digest(await caller.whole)).to.equal(digest(TEN_MEGABYTES));
  });

  it('follow settings that change while a tunnel is open', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    await new Promise<void>(resolve => {
      session.settings({ initialWindowSize: 10, maxConcurrentStreams: 1 }, () => resolve());
    });
    expect(wire.connection.canOpen).to.equal(false);
    caller.send(Buffer.alloc(300_000, 7));
    await new Promise<void>(resolve => {
      session.settings({ initialWindowSize: 100_000 }, () => resolve());
    });
    expect((await caller.whole).equals(Buffer.alloc(300_000, 7))).to.equal(true);
    expect(wire.connection.canOpen).to.equal(true);
  });

  it('pass on a refusal', async () => {
    const { wire } = await stockServer(stream => {
      stream.respond({ ':status': 503, 'x-isthmus-error': 'no' });
      stream.end('why not');
    });
    const caller = openOn(wire);
    expect(await caller.status).to.equal(503);
    expect((await caller.whole).toString()).to.equal('why not');
  });

  it('hear of resets from either side', async () => {
    const streams: ServerHttp2Stream[] = [];
    const { wire } = await stockServer(stream => {
      accept(stream);
      streams.push(stream);
    });
    const [first, second] = [openOn(wire), openOn(wire)];
    await Promise.all([first.status, second.status]);
    streams[0]!.close(constants.NGHTTP2_CONNECT_ERROR);
    expect(await first.reset).to.equal(H2.CONNECT_ERROR);
    second.stream.reset(H2.CANCEL);
    await once(streams[1]!, 'close');
    expect(streams[1]!.rstCode).to.equal(H2.CANCEL);
  });

  it('go away without losing what is under way, when the server asks', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    session.close();
    while (wire.connection.canOpen) await new Promise(resolve => setImmediate(resolve));
    expect(wire.goaways).to.deep.equal([H2.NO_ERROR]);
    caller.send(TEN_MEGABYTES.subarray(0, 1_000_000));
    expect((await caller.whole).length).to.equal(1_000_000);
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
  });

  it('go away when we ask', async () => {
    const { wire, session } = await stockServer(stream => {
      accept(stream);
      stream.pipe(stream);
    });
    const caller = openOn(wire);
    await caller.status;
    const goaway = once(session, 'goaway');
    wire.connection.goaway();
    await goaway;
    caller.send(Buffer.from('last words'));
    expect((await caller.whole).toString()).to.equal('last words');
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
  });

  it('find out that a server answers, and that it no longer does', async () => {
    const { wire, session } = await stockServer(accept);
    wire.connection.ping();
    expect(wire.connection.pingSentMs).to.be.a('number');
    while (wire.connection.pingSentMs !== undefined) {
      await new Promise(resolve => setImmediate(resolve));
    }
    const caller = openOn(wire);
    await caller.status;
    session.destroy();
    expect(await caller.reset).to.be.a('number');
    expect((await wire.ended).kind).to.equal('failed');
  });
});
