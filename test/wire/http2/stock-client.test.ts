/** Our server and node:http2's client. */

import { once } from 'node:events';
import { constants } from 'node:http2';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { OK } from './endpoint.ts';
import {
  Caller,
  closeAll,
  closed,
  collect,
  digest,
  Echo,
  pieces,
  stockClient,
  TEN_MEGABYTES,
  tunnelTo,
} from './stock-peers.ts';

afterEach(closeAll);

describe('our server and a stock client', () => {
  it('carry a tunnel', async () => {
    const { session } = await stockClient();
    const stream = tunnelTo(session);
    stream.end('hello');
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).to.equal(200);
    expect((await collect(stream)).toString()).to.equal('hello');
  });

  it('carry 10 MB both ways at once, with both windows closing again and again', async () => {
    const { session, wire } = await stockClient();
    const stream = tunnelTo(session);
    // In pieces: node:http2 counts what is queued against its own memory limit.
    Readable.from(pieces(TEN_MEGABYTES)).pipe(stream);
    expect(digest(await collect(stream))).to.equal(digest(TEN_MEGABYTES));
    expect(wire.connection.streams).to.equal(0);
  });

  it('carry fifty tunnels at once', async () => {
    const { session } = await stockClient();
    const bodies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const stream = tunnelTo(session);
        stream.end(Buffer.alloc(100_000, i));
        return collect(stream);
      }),
    );
    for (const [i, body] of bodies.entries()) {
      expect(body.equals(Buffer.alloc(100_000, i))).to.equal(true);
    }
  });

  it('refuse a request that is no CONNECT', async () => {
    const { session, wire } = await stockClient();
    wire.whenStream = stream => {
      stream.sendHeaders({ status: 405, fields: [['allow', 'CONNECT']] }, true);
      return new Caller();
    };
    const stream = session.request({ ':method': 'GET', ':path': '/' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect([headers[':status'], headers['allow']]).to.deep.equal([405, 'CONNECT']);
  });

  it('understand a large head, and answer a PING', async () => {
    const { session, wire } = await stockClient();
    let seen = '';
    wire.whenStream = (stream, head) => {
      seen = head.fields.find(([name]) => name === 'x-large')?.[1] ?? '';
      return new Echo(stream);
    };
    const value = 'abc '.repeat(2_000).trim();
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1', 'x-large': value });
    stream.end();
    await collect(stream);
    expect(seen).to.equal(value);
    await new Promise<void>((resolve, reject) => {
      session.ping(error => (error === null ? resolve() : reject(error)));
    });
  });

  it('hear of resets from either side', async () => {
    const { session, wire } = await stockClient();
    const callers: Caller[] = [];
    wire.whenStream = stream => {
      stream.sendHeaders(OK);
      const caller = new Caller();
      caller.stream = stream;
      callers.push(caller);
      return caller;
    };
    const first = tunnelTo(session);
    await once(first, 'response');
    first.close(constants.NGHTTP2_CANCEL);
    expect(await callers[0]!.reset).to.equal(H2.CANCEL);
    const second = tunnelTo(session);
    await once(second, 'response');
    callers[1]!.stream.reset(H2.CONNECT_ERROR);
    await closed(second);
    expect(second.rstCode).to.equal(H2.CONNECT_ERROR);
  });

  it('go away without losing what is under way', async () => {
    const { session, wire } = await stockClient();
    const stream = tunnelTo(session);
    await once(stream, 'response');
    wire.connection.goaway();
    await once(session, 'goaway');
    stream.end(TEN_MEGABYTES.subarray(0, 1_000_000));
    expect((await collect(stream)).length).to.equal(1_000_000);
    expect(await wire.ended).to.deep.equal({ kind: 'drained' });
    await once(session, 'close');
  });

  it('are told why, when the client breaks a rule', async () => {
    const { session, wire } = await stockClient();
    session.on('error', () => undefined);
    const goaway = once(session, 'goaway') as Promise<[number]>;
    while (!session.destroyed) {
      for (let i = 0; i < 100; i++) {
        const stream = tunnelTo(session);
        stream.on('error', () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    expect((await wire.ended).kind).to.equal('failed');
    expect((await goaway)[0]).to.equal(H2.ENHANCE_YOUR_CALM);
  });
});
