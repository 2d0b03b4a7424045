/** What a peer may send in which state of a stream (RFC 9113 §5.1), and what it costs to send more. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import { H2 } from '../../../src/wire/http2/error-codes.ts';
import { FRAME } from '../../../src/wire/http2/frames.ts';
import { STREAM_WINDOW_BYTES } from '../../../src/wire/http2/limits.ts';
import { Endpoint, greeted } from './endpoint.ts';
import {
  rawBlock,
  rawConnect,
  rawData,
  rawFrame,
  rawHeaders,
  rawPing,
  rawRst,
  rawSettings,
  u32,
} from './raw-frames.ts';

const OK_BLOCK = rawBlock([[':status', '200']]);

describe('a connection holds its peer to the life of a stream', () => {
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
