/** The end of a connection that loses nothing: RFC 9113 §6.8. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import { connectedPair, greeted } from './endpoint.ts';
import {
  rawBlock,
  rawConnect,
  rawFrame,
  rawHeaders,
  rawRst,
  rawSettings,
  u32,
} from './raw-frames.ts';

const OK_BLOCK = rawBlock([[':status', '200']]);

describe('a connection goes away', () => {
  it('as a server: announces it, takes what was on its way, and ends after the last stream', () => {
    const { client, server, settle } = connectedPair();
    const early = client.open();
    settle();
    server.connection.goaway();
    server.connection.goaway();
    const late = client.open();
    settle();
    expect(client.connection.canOpen).to.equal(false);
    expect(late.events).to.deep.equal(['headers 200']);
    expect(server.end).to.equal(undefined);
    for (const near of [early, late]) near.stream.end();
    settle();
    for (const far of server.accepted) far.stream.end();
    settle();
    expect(server.end).to.deep.equal({ kind: 'drained' });
    expect(client.end).to.deep.equal({ kind: 'drained' });
    expect(client.events.filter(event => event.startsWith('goaway'))).to.have.length(2);
  });

  it('as a server: refuses streams after its last word', () => {
    const server = greeted('server');
    server.receive(rawHeaders(1, rawConnect()));
    server.connection.goaway();
    const ping = server.sent().find(frame => frame.type === FRAME.PING);
    server.receive(rawFrame(6, 1, 0, ping!.payload));
    expect(server.sent()[0]?.payload.equals(Buffer.concat([u32(1), u32(0)]))).to.equal(true);
    server.receive(rawHeaders(3, rawConnect()));
    expect(server.sent()[0]?.payload.equals(u32(H2.REFUSED_STREAM))).to.equal(true);
    expect(server.accepted).to.have.length(1);
  });

  it('as a server: only when it was asked to, whatever a peer pretends to answer', () => {
    const server = greeted('server');
    server.receive(rawFrame(6, 1, 0, Buffer.from('shutdown')), rawHeaders(1, rawConnect()));
    expect(server.accepted).to.have.length(1);
    expect(server.sent().map(frame => frame.type)).to.not.include(FRAME.GOAWAY);
  });

  it('as a client: opens no more and ends after the last stream', () => {
    const { client, server, settle } = connectedPair();
    const near = client.open();
    settle();
    client.connection.goaway();
    expect(client.tryOpen()).to.equal(undefined);
    near.stream.end();
    settle();
    expect(server.events).to.include('goaway 0 ""');
    server.accepted[0]?.stream.end();
    settle();
    expect(client.end).to.deep.equal({ kind: 'drained' });
  });

  it('as a client without streams: ends at once', () => {
    const { client } = connectedPair();
    client.connection.goaway();
    expect(client.end).to.deep.equal({ kind: 'drained' });
  });

  it('and a client knows which streams the peer never took', () => {
    const client = greeted('client');
    const [first, second] = [client.open(), client.open()];
    client.receive(rawFrame(7, 0, 0, Buffer.concat([u32(1), u32(H2.NO_ERROR)])));
    expect(second.events).to.deep.equal([`reset ${H2.REFUSED_STREAM}`]);
    expect(first.events).to.deep.equal([]);
    client.receive(rawHeaders(1, OK_BLOCK, true));
    first.stream.end();
    expect(client.end).to.deep.equal({ kind: 'drained' });
  });

  it('and no stream is taken back twice', () => {
    const client = greeted('client');
    client.open();
    client.receive(rawFrame(7, 0, 0, Buffer.concat([u32(1), u32(0)])));
    client.receive(rawFrame(7, 0, 0, Buffer.concat([u32(3), u32(0)])));
    expect(client.failure).to.equal(H2.PROTOCOL_ERROR);
  });

  it('and survives GOAWAY, no streams allowed, RST_STREAM and GOAWAY in one chunk', () => {
    const client = greeted('client');
    const near = client.open();
    client.receive(
      rawFrame(7, 0, 0, Buffer.concat([u32(1), u32(0)])),
      rawSettings([3, 0]),
      rawRst(1, H2.REFUSED_STREAM),
      rawFrame(7, 0, 0, Buffer.concat([u32(0), u32(0)])),
    );
    expect(near.events).to.deep.equal([`reset ${H2.REFUSED_STREAM}`]);
    expect(client.end).to.deep.equal({ kind: 'drained' });
  });
});
