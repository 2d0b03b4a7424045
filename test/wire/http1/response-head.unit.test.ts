import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  type Asked,
  parseResponseHead,
  type ResponseRefusal,
} from '../../../src/wire/http1/response-head.ts';
import {
  bytesOf,
  GET,
  LARGE,
  MANY,
  manyFields,
  message,
  ok,
  parseResponse,
  plain,
  responseHead,
} from './messages.ts';

const HEAD: Asked = { method: 'HEAD', upgrade: undefined };
const WEBSOCKET: Asked = { method: 'GET', upgrade: 'websocket' };
const SWITCHING = 'HTTP/1.1 101 Switching Protocols';
const SWITCHED = ['Connection: Upgrade', 'Upgrade: websocket'];

interface Row {
  readonly what: string;
  readonly refused: string;
  readonly reason: ResponseRefusal;
  readonly asked?: Asked;
  readonly twin: string;
  readonly twinAsked?: Asked;
}

const rows: readonly Row[] = [
  ...[
    'HTTP/1.1',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 099 Low',
    'HTTP/1.1 600 High',
    'HTTP/1.1 200OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200 a\x00b',
    ' HTTP/1.1 200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    '',
  ].map(statusLine => ({
    what: `the status line ${JSON.stringify(statusLine)}`,
    refused: message(statusLine, 'Content-Length: 0'),
    reason: 'bad-status-line' as const,
    twin: message('HTTP/1.1 200 a\tb \xe9', 'Content-Length: 0'),
  })),
  ...['HTTP/2.0 200 OK', 'HTTP/1.2 200 OK'].map(statusLine => ({
    what: statusLine,
    refused: message(statusLine),
    reason: 'bad-version' as const,
    twin: message('HTTP/1.0 200 OK'),
  })),
  {
    what: 'a bare LF behind the status line',
    refused: 'HTTP/1.1 200 OK\nX: a\r\n\r\n',
    reason: 'bad-line-ending',
    twin: ok('X: a'),
  },
  {
    what: 'a bare CR in the phrase',
    refused: message('HTTP/1.1 200 a\rb'),
    reason: 'bad-line-ending',
    twin: message('HTTP/1.1 200 a b'),
  },
  {
    what: 'an empty line before it',
    refused: `\r\n${ok()}`,
    reason: 'bad-status-line',
    twin: ok(),
  },
  {
    what: 'a NUL in a value',
    refused: ok('X: a\x00b'),
    reason: 'bad-field-value',
    twin: ok('X: a\xffb'),
  },
  {
    what: 'both framings',
    refused: ok('Content-Length: 1', 'Transfer-Encoding: chunked'),
    reason: 'length-and-encoding',
    twin: ok('Content-Length: 1'),
  },
  {
    what: 'another coding',
    refused: ok('Transfer-Encoding: gzip, chunked'),
    reason: 'bad-transfer-encoding',
    twin: ok('Transfer-Encoding: chunked'),
  },
  {
    what: 'chunked in HTTP/1.0',
    refused: message('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'),
    reason: 'bad-transfer-encoding',
    twin: message('HTTP/1.0 200 OK', 'Content-Length: 1'),
  },
  {
    what: 'two lengths',
    refused: ok('Content-Length: 1', 'Content-Length: 1'),
    reason: 'bad-content-length',
    twin: ok('Content-Length: 1'),
  },
  {
    what: 'one field too many',
    refused: ok(...manyFields(MANY), 'Content-Length: 1'),
    reason: 'too-many-fields',
    twin: ok(...manyFields(MANY - 1), 'Content-Length: 1'),
  },
  {
    what: 'a head of one byte too many',
    refused: ok(`X: ${'v'.repeat(LARGE + 1 - ok('X: ').length)}`),
    reason: 'head-too-large',
    twin: ok(`X: ${'v'.repeat(LARGE - ok('X: ').length)}`),
  },
  ...['100 Continue', '103 Early Hints', '204 No Content'].flatMap(status =>
    ['Content-Length: 1', 'Transfer-Encoding: chunked'].map(field => ({
      what: `a ${status} with ${field}`,
      refused: message(`HTTP/1.1 ${status}`, field),
      reason: 'body-forbidden' as const,
      twin: message(`HTTP/1.1 ${status}`, 'Content-Length: 0'),
    })),
  ),
  {
    what: 'a 101 that nobody asked for',
    refused: message(SWITCHING, ...SWITCHED),
    reason: 'unasked-upgrade',
    twin: message(SWITCHING, ...SWITCHED),
    twinAsked: WEBSOCKET,
  },
  {
    what: 'a 101 to another protocol',
    refused: message(SWITCHING, 'Connection: upgrade', 'Upgrade: foo'),
    asked: WEBSOCKET,
    reason: 'unasked-upgrade',
    twin: message(SWITCHING, 'Connection: upgrade', 'Upgrade: WebSocket'),
    twinAsked: WEBSOCKET,
  },
  {
    what: 'a 101 that names no protocol',
    refused: message(SWITCHING),
    asked: WEBSOCKET,
    reason: 'unasked-upgrade',
    twin: ok(),
    twinAsked: WEBSOCKET,
  },
];

describe('a response head', () => {
  for (const { what, refused, reason, asked = GET, twin, twinAsked = GET } of rows) {
    it(`is refused for ${what}`, () => {
      expect(parseResponse(refused, asked)).to.deep.equal({ kind: 'refused', reason });
      expect(parseResponse(twin, twinAsked).kind, 'the legal twin').to.equal('head');
    });
  }

  const framings = [
    { text: ok('Content-Length: 5'), framing: { kind: 'length', bytes: 5 }, keepAlive: true },
    { text: ok('Transfer-Encoding: chunked'), framing: { kind: 'chunked' }, keepAlive: true },
    { text: ok(), framing: { kind: 'until-close' }, keepAlive: false },
    {
      text: ok('Connection: close', 'Content-Length: 0'),
      framing: { kind: 'length', bytes: 0 },
      keepAlive: false,
    },
    {
      text: message('HTTP/1.0 200 OK', 'Content-Length: 5'),
      framing: { kind: 'length', bytes: 5 },
      keepAlive: false,
    },
    {
      text: message('HTTP/1.0 200 OK', 'Content-Length: 5', 'Connection: keep-alive'),
      framing: { kind: 'length', bytes: 5 },
      keepAlive: true,
    },
    { text: ok('Content-Length: 5'), asked: HEAD, framing: { kind: 'none' }, declared: 5 },
    { text: ok('Transfer-Encoding: chunked'), asked: HEAD, framing: { kind: 'none' } },
    { text: ok(), asked: HEAD, framing: { kind: 'none' } },
    {
      text: message('HTTP/1.1 304 Not Modified', 'Content-Length: 5'),
      framing: { kind: 'none' },
      declared: 5,
    },
    { text: message('HTTP/1.1 204 No Content'), framing: { kind: 'none' } },
    { text: message('HTTP/1.1 204 No Content', 'Content-Length: 0'), framing: { kind: 'none' } },
    { text: message('HTTP/1.1 100 Continue'), framing: { kind: 'none' } },
  ];
  for (const { text, asked = GET, framing, keepAlive = true, declared } of framings) {
    const [statusLine, ...sent] = text.trimEnd().split('\r\n');
    it(`to ${asked.method} with ${statusLine} [${sent.join('; ')}] has the framing ${JSON.stringify(framing)}`, () => {
      const head = responseHead(text, asked);
      expect(head.framing).to.deep.equal(framing);
      expect(head).to.include({ keepAlive, declaredBytes: declared, upgrade: undefined });
    });
  }

  it('of a 101 says the protocol that was asked for', () => {
    const head = responseHead(
      message(SWITCHING, ...SWITCHED, 'Sec-WebSocket-Accept: a'),
      WEBSOCKET,
    );
    expect(head).to.include({ status: 101, upgrade: 'websocket', keepAlive: false });
    expect(head.fields.flat()).to.deep.equal(['sec-websocket-accept', 'a']);
  });

  const phrases = [
    { statusLine: 'HTTP/1.1 200 All is  well', reason: 'All is  well' },
    { statusLine: 'HTTP/1.1 200 ', reason: '' },
    { statusLine: 'HTTP/1.1 200', reason: '' },
  ];
  for (const { statusLine, reason } of phrases) {
    it(`with ${JSON.stringify(statusLine)} has the phrase ${JSON.stringify(reason)}`, () => {
      expect(responseHead(message(statusLine, 'X: a'))).to.include({ status: 200, reason });
    });
  }

  it('has no field that is for this hop', () => {
    const head = responseHead(
      ok('Connection: x-hop', 'X-Hop: a', 'Keep-Alive: b', 'Upgrade: h2c', 'X-Kept: c'),
    );
    expect(head.fields.flat()).to.deep.equal(['x-kept', 'c']);
    expect(head.upgrade).to.equal(undefined);
  });

  it('is incomplete at every prefix and the same wherever it was cut', () => {
    for (const text of [ok('Content-Length: 5', 'X:\ta '), message('HTTP/1.0 200'), ok()]) {
      const bytes = bytesOf(`before${text}body!`);
      const start = 'before'.length;
      const expected = plain(parseResponseHead(bytes, start, bytes.length, GET));
      for (let cut = start; cut < start + text.length; cut++) {
        const first = parseResponseHead(bytes, start, cut, GET);
        expect(first, `cut at ${cut}`).to.deep.equal({ kind: 'incomplete', scanned: cut });
        expect(
          plain(parseResponseHead(bytes, start, bytes.length, GET, cut)),
          `cut at ${cut}`,
        ).to.deep.equal(expected);
      }
    }
  });
});
