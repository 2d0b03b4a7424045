/** Streams and connections: RFC 9113 §5, §6.5, §6.7, §6.8 and §8.5, between two of ours or one and raw bytes. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import {
  CONNECTION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
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
    expect(client.connection.wantsWrite).to.equal(false);
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
    expect(client.connection.wantsWrite).to.equal(false);
  });

  it('drops what crosses a reset, and gives its bytes back to the connection', () => {
    const client = greeted('client');
    const near = client.open();
    client.receive(rawHeaders(1, OK_BLOCK));
    near.stream.reset(H2.CANCEL);
    client.sent();
    for (let sent = 0; sent < CONNECTION_WINDOW_BYTES; sent += 16_000) {
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

  describe('goes away', () => {
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

  describe('holds peers to the life of a stream', () => {
    const server = (): Endpoint => {
      const end = greeted('server');
      end.receive(rawHeaders(5, rawConnect()));
      end.sent();
      return end;
    };
    const client = (): Endpoint => {
      const end = greeted('client');
      end.open();
      end.sent();
      return end;
    };

    const connectionErrors: readonly [string, () => Endpoint, Buffer, number][] = [
      ['DATA on an idle stream', server, rawData(7, 'x'), H2.PROTOCOL_ERROR],
      ['DATA on a stream of the server', server, rawData(2, 'x'), H2.PROTOCOL_ERROR],
      ['RST_STREAM on an idle stream', server, rawRst(7, 8), H2.PROTOCOL_ERROR],
      ['WINDOW_UPDATE on an idle stream', server, rawFrame(8, 0, 7, u32(1)), H2.PROTOCOL_ERROR],
      ['HEADERS on an even stream', server, rawHeaders(6, rawConnect()), H2.PROTOCOL_ERROR],
      ['a request on a stream passed over', server, rawHeaders(3, rawConnect()), H2.STREAM_CLOSED],
      ['HEADERS that nobody asked for', client, rawHeaders(3, OK_BLOCK), H2.PROTOCOL_ERROR],
      ['HEADERS of a push', client, rawHeaders(2, OK_BLOCK), H2.PROTOCOL_ERROR],
      ['DATA that nobody asked for', client, rawData(3, 'x'), H2.PROTOCOL_ERROR],
      ['ENABLE_PUSH from a server', client, rawSettings([2, 1]), H2.PROTOCOL_ERROR],
      ['ENABLE_PUSH 2 from a client', server, rawSettings([2, 2]), H2.PROTOCOL_ERROR],
      ['MAX_FRAME_SIZE below 16 KiB', server, rawSettings([5, 16_383]), H2.PROTOCOL_ERROR],
      ['MAX_FRAME_SIZE of 16 MiB', server, rawSettings([5, 2 ** 24]), H2.PROTOCOL_ERROR],
      [
        'a block that HPACK cannot read',
        server,
        rawHeaders(7, Buffer.of(0x80)),
        H2.COMPRESSION_ERROR,
      ],
    ];
    for (const [title, make, bytes, code] of connectionErrors) {
      it(`${title} ends the connection`, () => {
        const end = make();
        end.receive(bytes);
        expect(end.failure).to.equal(code);
        const goaway = end.sent().find(frame => frame.type === FRAME.GOAWAY);
        expect(goaway?.payload.readUInt32BE(4)).to.equal(code);
      });
    }

    const streamErrors: readonly [string, () => Endpoint, Buffer, id: number, code: number][] = [
      [
        'trailers in a tunnel',
        server,
        rawHeaders(5, rawBlock([['x', 'y']]), true),
        5,
        H2.PROTOCOL_ERROR,
      ],
      [
        'a malformed request',
        server,
        rawHeaders(7, rawBlock([[':method', 'CONNECT']])),
        7,
        H2.PROTOCOL_ERROR,
      ],
      ['a malformed answer', client, rawHeaders(1, rawBlock([['x', 'y']])), 1, H2.PROTOCOL_ERROR],
      [
        'an interim answer that ends',
        client,
        rawHeaders(1, rawBlock([[':status', '103']]), true),
        1,
        H2.PROTOCOL_ERROR,
      ],
      ['DATA before the answer', client, rawData(1, 'x'), 1, H2.PROTOCOL_ERROR],
      [
        'HEADERS in an open tunnel',
        client,
        Buffer.concat([rawHeaders(1, OK_BLOCK), rawHeaders(1, rawBlock([['x', 'y']]), true)]),
        1,
        H2.PROTOCOL_ERROR,
      ],
      [
        'DATA after the end',
        server,
        Buffer.concat([rawData(5, 'x', true), rawData(5, 'y')]),
        5,
        H2.STREAM_CLOSED,
      ],
      [
        'HEADERS after the end',
        server,
        Buffer.concat([rawData(5, 'x', true), rawHeaders(5, rawBlock([['x', 'y']]), true)]),
        5,
        H2.STREAM_CLOSED,
      ],
    ];
    for (const [title, make, bytes, id, code] of streamErrors) {
      it(`${title} costs the stream alone`, () => {
        const end = make();
        end.receive(bytes);
        const [reset] = end.sent().filter(frame => frame.type === FRAME.RST_STREAM);
        expect(reset?.streamId).to.equal(id);
        expect(reset?.payload.equals(u32(code))).to.equal(true);
        expect(end.end).to.equal(undefined);
        end.receive(rawPing());
        expect(end.sent().map(frame => frame.type)).to.deep.equal([FRAME.PING]);
      });
    }

    it('an interim answer is passed over, and trailers of a refusal end it', () => {
      const end = greeted('client');
      const near = end.open();
      end.receive(
        rawHeaders(1, rawBlock([[':status', '103']])),
        rawHeaders(1, rawBlock([[':status', '503']])),
        rawData(1, 'why'),
        rawHeaders(1, rawBlock([['x', 'y']]), true),
      );
      expect(near.events).to.deep.equal(['headers 503', 'end']);
      expect(near.received.toString()).to.equal('why');
    });

    it('an answer that crosses our reset is decoded, so that the next one can be read', () => {
      const end = greeted('client');
      end.open().stream.reset(H2.CANCEL);
      const second = end.open();
      const indexed = Buffer.from('48033230304003782d610162', 'hex');
      end.receive(rawHeaders(1, indexed), rawHeaders(3, Buffer.from('bfbe', 'hex')));
      expect(second.events).to.deep.equal(['headers 200']);
    });

    it('a request body has the length it announces', () => {
      const post = (length: string): Buffer =>
        rawBlock([
          [':method', 'POST'],
          [':scheme', 'https'],
          [':path', '/'],
          ['content-length', length],
        ]);
      const end = greeted('server');
      end.receive(rawHeaders(1, post('2')), rawData(1, 'ab', true));
      end.receive(rawHeaders(3, post('2')), rawData(3, 'a', true));
      end.receive(rawHeaders(5, post('2')), rawData(5, 'abc'));
      end.receive(rawHeaders(7, post('2'), true));
      end.receive(rawHeaders(9, post('0'), true));
      expect(end.accepted.map(({ events }) => events)).to.deep.equal([
        ['end'],
        ['reset 1'],
        ['reset 1'],
        ['reset 1'],
        ['end'],
      ]);
    });

    it('padding counts towards the windows, and is given back', () => {
      const end = server();
      const padded = rawFrame(0, 8, 5, Buffer.concat([Buffer.of(255), Buffer.alloc(255)]));
      for (let sent = 0; sent <= STREAM_WINDOW_BYTES * 2; sent += 256) end.receive(padded);
      // Frames of padding alone are counted, but this many are honest.
      expect(end.failure).to.equal(undefined);
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
