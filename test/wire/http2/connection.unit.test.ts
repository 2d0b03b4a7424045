/** Streams and connections: RFC 9113 §5, §6.5, §6.7, §6.8 and §8.5, between two of ours or one and raw bytes. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import {
  CONNECTION_UNREAD_BYTES_MAX,
  CONNECTION_WINDOW_BYTES,
  STREAMS_BEFORE_SETTINGS_MAX,
  STREAMS_MAX,
} from '../../../src/wire/http2/limits.ts';
import { CONNECT, connectedPair, Endpoint, greeted, OK } from './endpoint.ts';
import {
  PREFACE,
  rawBlock,
  rawConnect,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawRst,
  rawSettings,
  rawSettingsAck,
  u32,
} from './raw-frames.ts';

const OK_BLOCK = rawBlock([[':status', '200']]);

describe('a connection', () => {
  it('begins with the client preface, settings and a larger window', () => {
    const client = new Endpoint('client');
    const output = client.connection.takeOutput();
    expect(output.subarray(0, 24).equals(PREFACE)).to.equal(true);
    const server = new Endpoint('server');
    for (const end of [output, server.connection.takeOutput()]) {
      const bytes = end.subarray(end.length - 40);
      expect(bytes.subarray(3, 9).equals(rawSettings().subarray(3, 9))).to.equal(true);
      expect(bytes.subarray(-4).equals(u32(CONNECTION_WINDOW_BYTES - 65_535))).to.equal(true);
    }
    // A client allows no pushes; a server names how many streams it takes.
    expect(output.subarray(33, 39).equals(Buffer.from('000200000000', 'hex'))).to.equal(true);
  });

  it('carries a tunnel both ways and ends it at both ends', () => {
    const { client, server, settle } = connectedPair();
    const near = client.open();
    settle();
    const [far] = server.accepted;
    expect(server.events).to.deep.equal(['stream 1 CONNECT a.b:80']);
    expect(near.events).to.deep.equal(['headers 200']);
    expect(near.stream.write(Buffer.from('ping'))).to.equal(4);
    near.stream.end();
    settle();
    expect(far?.received.toString()).to.equal('ping');
    expect(far?.events).to.deep.equal(['end']);
    expect(near.stream.state).to.equal('half-closed-local');
    expect(far?.stream.state).to.equal('half-closed-remote');
    far?.stream.write(Buffer.from('pong'));
    far?.stream.end();
    settle();
    expect(near.received.toString()).to.equal('pong');
    expect(near.events).to.deep.equal(['headers 200', 'end']);
    expect([near.stream.state, far?.stream.state]).to.deep.equal(['closed', 'closed']);
    expect([client.connection.streams, server.connection.streams]).to.deep.equal([0, 0]);
  });

  it('collects the frames of a turn in one output and says once that there is some', () => {
    const { client, server, settle } = connectedPair();
    const streams = [client.open(), client.open(), client.open()];
    settle();
    const before = client.outputs;
    for (const { stream } of streams) stream.write(Buffer.from('x'));
    expect(client.outputs).to.equal(before + 1);
    expect(client.sent().map(frame => frame.streamId)).to.deep.equal([1, 3, 5]);
    expect(client.connection.outputBytes).to.equal(0);
    expect(server.accepted).to.have.length(3);
  });

  it('lets a server refuse what it does not serve', () => {
    const { client, server, settle } = connectedPair();
    server.whenStream = stream =>
      stream.sendHeaders({ status: 405, fields: [['allow', 'CONNECT']] }, true);
    const near = client.open({ method: 'GET', scheme: 'https', path: '/', fields: [] });
    settle();
    expect(server.events).to.deep.equal(['stream 1 GET ']);
    expect(near.events).to.deep.equal(['headers 405', 'end']);
    near.stream.end();
    settle();
    expect(server.connection.streams).to.equal(0);
  });

  it('tells both ends of a reset, the one that asked for it by doing it', () => {
    const { client, server, settle } = connectedPair();
    const near = client.open();
    settle();
    near.stream.reset(H2.CANCEL);
    near.stream.reset(H2.CANCEL);
    settle();
    expect(near.events).to.deep.equal(['headers 200']);
    expect(server.accepted[0]?.events).to.deep.equal([`reset ${H2.CANCEL}`]);
    expect(near.stream.write(Buffer.from('x'))).to.equal(0);
    near.stream.end();
    near.stream.consumed(1);
    expect(client.connection.outputBytes).to.equal(0);
  });

  it('drops what crosses a reset, and gives its bytes back to the connection', () => {
    const client = greeted('client');
    const near = client.open();
    client.receive(rawHeaders(1, OK_BLOCK));
    near.stream.reset(H2.CANCEL);
    client.sent();
    for (let sent = 0; sent < CONNECTION_UNREAD_BYTES_MAX * 1.5; sent += 16_000) {
      client.receive(rawData(1, 'x'.repeat(16_000)));
    }
    client.receive(rawData(1, '', true), rawFrame(8, 0, 1, u32(5)), rawRst(1, 8));
    expect(client.end).to.equal(undefined);
    expect(client.sent().some(frame => frame.type === FRAME.WINDOW_UPDATE)).to.equal(true);
  });

  it('lets a handler reset its stream while it is being told of bytes and the end', () => {
    const { client, server, settle } = connectedPair();
    const near = client.open();
    settle();
    const [far] = server.accepted;
    far!.whenData = () => far!.stream.reset(H2.CANCEL);
    near.stream.write(Buffer.from('x'));
    near.stream.end();
    settle();
    expect(far!.events).to.deep.equal([]);
    expect(server.connection.streams).to.equal(0);
  });

  it('ends when a handler throws, and lets the owner see what', () => {
    const { client, server, settle } = connectedPair();
    const near = client.open();
    settle();
    server.accepted[0]!.whenData = () => {
      throw new Error('a bug');
    };
    near.stream.write(Buffer.from('x'));
    expect(settle).to.throw('a bug');
    expect(server.failure).to.equal(H2.INTERNAL_ERROR);
    server.receive(rawPing());
    expect(server.sent().map(frame => frame.type)).to.include(FRAME.GOAWAY);
  });

  it('tells every stream when it is destroyed, and then takes no more calls', () => {
    const { client, settle } = connectedPair();
    const streams = [client.open(), client.open()];
    settle();
    client.connection.destroy(H2.CANCEL, 'the socket closed');
    client.connection.destroy(H2.CANCEL, 'again');
    expect(streams.map(({ events }) => events.at(-1))).to.deep.equal(['reset 8', 'reset 8']);
    expect(client.events).to.deep.equal(['failed']);
    expect(client.tryOpen()).to.equal(undefined);
    client.connection.ping();
    client.connection.goaway();
    expect(client.sent().map(frame => frame.type)).to.deep.equal([FRAME.GOAWAY]);
  });

  describe('counts streams', () => {
    it('a client opens a hundred before it is told how many', () => {
      const client = new Endpoint('client');
      for (let i = 0; i < STREAMS_BEFORE_SETTINGS_MAX; i++) client.open();
      expect(client.tryOpen()).to.equal(undefined);
      client.receive(rawSettings());
      expect(client.connection.canOpen).to.equal(true);
    });

    it('a client opens as many as it is told, until it is told otherwise', () => {
      const client = greeted('client', [[3, 2]]);
      const first = client.open();
      client.open();
      expect(client.tryOpen()).to.equal(undefined);
      first.stream.reset(H2.CANCEL);
      expect(client.connection.canOpen).to.equal(true);
      client.receive(rawSettings([3, 0]));
      expect(client.connection.canOpen).to.equal(false);
      client.receive(rawSettings([4, 1_000]));
      expect(client.connection.canOpen).to.equal(false);
      client.receive(rawSettings([3, 0xffffffff]));
      expect(client.connection.canOpen).to.equal(true);
      expect(client.events.filter(event => event === 'settled')).to.have.length(3);
    });

    it('a server refuses the stream that is one too many, and takes it later', () => {
      const server = greeted('server');
      for (let i = 0; i < STREAMS_MAX; i++) server.receive(rawHeaders(1 + 2 * i, rawConnect()));
      server.sent();
      const next = 1 + 2 * STREAMS_MAX;
      server.receive(rawHeaders(next, rawConnect()));
      const [refusal] = server.sent();
      expect(refusal).to.deep.include({ type: FRAME.RST_STREAM, streamId: next });
      expect(refusal?.payload.equals(u32(H2.REFUSED_STREAM))).to.equal(true);
      expect(server.accepted).to.have.length(STREAMS_MAX);
      server.receive(rawRst(1, H2.CANCEL), rawHeaders(next + 2, rawConnect()));
      expect(server.accepted).to.have.length(STREAMS_MAX + 1);
    });

    it('a server never opens one', () => {
      expect(greeted('server').tryOpen()).to.equal(undefined);
    });
  });

  describe('asks for a sign of life', () => {
    it('and knows since when it waits for one', () => {
      const { client, settle } = connectedPair();
      client.connection.ping();
      client.clock.nowMs += 500;
      client.connection.ping();
      expect(client.connection.pingSentMs).to.equal(1_000);
      settle();
      expect(client.connection.pingSentMs).to.equal(undefined);
    });

    it("and is not answered by another ping's answer", () => {
      const client = greeted('client');
      client.connection.ping();
      client.receive(rawPing(true));
      expect(client.connection.pingSentMs).to.equal(1_000);
    });

    it('and answers one with the bytes it came with', () => {
      const server = greeted('server');
      server.receive(rawPing());
      const [answer] = server.sent();
      expect(answer).to.deep.include({ type: FRAME.PING, flags: 1 });
      expect(answer?.payload.equals(Buffer.alloc(8, 0x70))).to.equal(true);
    });
  });

  describe('holds its owner to the life of a stream', () => {
    it('nothing is sent before the answer, or after the end', () => {
      const { client, server, settle } = connectedPair();
      server.whenStream = () => undefined;
      const near = client.open();
      settle();
      const far = server.accepted[0]!;
      expect(() => far.stream.write(Buffer.from('x'))).to.throw('before its answer');
      expect(() => far.stream.sendHeaders({ status: 103, fields: [] })).to.throw('not final');
      far.stream.sendHeaders(OK);
      expect(() => far.stream.sendHeaders(OK)).to.throw('a second answer');
      near.stream.end();
      expect(() => near.stream.write(Buffer.from('x'))).to.throw('after its end');
      expect(() => near.stream.end()).to.throw('after its end');
    });

    it('a tunnel may carry bytes before it is answered', () => {
      const { client, server, settle } = connectedPair();
      const near = client.open(CONNECT);
      near.stream.write(Buffer.from('early'));
      settle();
      expect(server.accepted[0]?.received.toString()).to.equal('early');
    });
  });

  it('starts over with the greeting of a stock peer', () => {
    const server = new Endpoint('server');
    server.receive(PREFACE, rawSettings([1, 0], [2, 0], [4, 100], [6, 10_000]), rawSettingsAck());
    const types = server.sent().map(frame => [frame.type, frame.flags]);
    expect(types).to.deep.equal([
      [FRAME.SETTINGS, 0],
      [FRAME.WINDOW_UPDATE, 0],
      [FRAME.SETTINGS, 1],
    ]);
  });
});
