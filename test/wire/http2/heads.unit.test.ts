/** Header lists as requests and responses: RFC 9113 §8.2, §8.3 and §8.5, each refusal with its twin. */

import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  parseRequest,
  parseResponse,
  parseTrailers,
  requestList,
  responseList,
} from '../../../src/wire/http2/heads.ts';
import type { HeaderField } from '../../../src/wire/http2/hpack-decoder.ts';

type List = HeaderField[];

const METHOD: HeaderField = [':method', 'CONNECT'];
const AUTHORITY: HeaderField = [':authority', 'payments.shop.svc.clusterset.local:80'];
const CONNECT: List = [METHOD, AUTHORITY];
const GET: List = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'a'],
  [':path', '/'],
];
const without = (list: List, name: string): List => list.filter(field => field[0] !== name);

describe('a request head', () => {
  it('of CONNECT is a method and an authority', () => {
    expect(parseRequest([...CONNECT, ['x-a', 'b']])).to.deep.equal({
      kind: 'parsed',
      head: { method: 'CONNECT', authority: AUTHORITY[1], fields: [['x-a', 'b']] },
    });
  });

  it('of another method has scheme and path, and may lack an authority', () => {
    expect(parseRequest(without(GET, ':authority'))).to.deep.equal({
      kind: 'parsed',
      head: { method: 'GET', scheme: 'https', path: '/', fields: [] },
    });
  });

  const legal: readonly [string, List][] = [
    ['an empty value', [...CONNECT, ['x-a', '']]],
    ['a value with inner white space', [...CONNECT, ['x-a', 'b \t c']]],
    ['a value with bytes above ASCII', [...CONNECT, ['x-a', '\x80\xff']]],
    ['a field twice', [...CONNECT, ['x-a', '1'], ['x-a', '2']]],
    ['pseudo-header fields in any order', [AUTHORITY, METHOD]],
    ['te: trailers', [...CONNECT, ['te', 'trailers']]],
    [
      'OPTIONS *',
      [
        [':method', 'OPTIONS'],
        [':scheme', 'https'],
        [':path', '*'],
      ],
    ],
    ['a content-length', [...GET, ['content-length', '10']]],
  ];
  for (const [title, list] of legal) {
    it(`may have ${title}`, () => {
      expect(parseRequest(list).kind).to.equal('parsed');
    });
  }

  const malformed: readonly [string, List][] = [
    ['no method', [AUTHORITY]],
    ['a method that is no token', [[':method', 'CON NECT'], AUTHORITY]],
    ['a method twice', [METHOD, ...CONNECT]],
    ['CONNECT without an authority', [METHOD]],
    ['CONNECT with an empty authority', [METHOD, [':authority', '']]],
    ['CONNECT with a scheme', [...CONNECT, [':scheme', 'https']]],
    ['CONNECT with a path', [...CONNECT, [':path', '/']]],
    ['CONNECT with a protocol it was not offered', [...CONNECT, [':protocol', 'websocket']]],
    ['CONNECT with a content-length', [...CONNECT, ['content-length', '0']]],
    ['no scheme', without(GET, ':scheme')],
    ['no path', without(GET, ':path')],
    ['an empty path', [...without(GET, ':path'), [':path', '']]],
    ['a path without a slash', [...without(GET, ':path'), [':path', 'a']]],
    ['* for a method other than OPTIONS', [...without(GET, ':path'), [':path', '*']]],
    ['a status', [...CONNECT, [':status', '200']]],
    ['a pseudo-header field after a regular one', [METHOD, ['x-a', 'b'], AUTHORITY]],
    ['an empty name', [...CONNECT, ['', 'b']]],
    ['an upper-case name', [...CONNECT, ['X-a', 'b']]],
    ['a name with a space', [...CONNECT, ['x a', 'b']]],
    ['a name with a colon inside', [...CONNECT, ['x:a', 'b']]],
    ['a name with CR LF', [...CONNECT, ['x\r\na', 'b']]],
    ['a name above ASCII', [...CONNECT, ['x\xe4', 'b']]],
    ['a value with CR', [...CONNECT, ['x-a', 'b\rc']]],
    ['a value with LF', [...CONNECT, ['x-a', 'b\nc']]],
    ['a value with NUL', [...CONNECT, ['x-a', 'b\0c']]],
    ['a value with DEL', [...CONNECT, ['x-a', 'b\x7f']]],
    ['a value with leading white space', [...CONNECT, ['x-a', ' b']]],
    ['a value with trailing white space', [...CONNECT, ['x-a', 'b\t']]],
    ['an authority with LF', [METHOD, [':authority', 'a\nb']]],
    ['connection', [...CONNECT, ['connection', 'close']]],
    ['keep-alive', [...CONNECT, ['keep-alive', '1']]],
    ['proxy-connection', [...CONNECT, ['proxy-connection', 'close']]],
    ['transfer-encoding', [...CONNECT, ['transfer-encoding', 'chunked']]],
    ['upgrade', [...CONNECT, ['upgrade', 'h2c']]],
    ['te other than trailers', [...CONNECT, ['te', 'gzip']]],
    ['content-length twice', [...GET, ['content-length', '1'], ['content-length', '1']]],
    ['a content-length with a sign', [...GET, ['content-length', '+1']]],
  ];
  for (const [title, list] of malformed) {
    it(`is malformed with ${title}`, () => {
      expect(parseRequest(list).kind).to.equal('malformed');
    });
  }

  it('is read back as it was written', () => {
    for (const list of [CONNECT, GET]) {
      const parsed = parseRequest([...list, ['x-a', 'b']]);
      if (parsed.kind === 'malformed') throw new Error(parsed.reason);
      expect(parseRequest(requestList(parsed.head))).to.deep.equal(parsed);
    }
  });

  it('is never written in a form that a peer would refuse', () => {
    const head = { method: 'CONNECT', authority: 'a', fields: [['x-a', 'b\r\nc']] } as const;
    expect(() => requestList(head)).to.throw('would refuse');
  });
});

describe('a response head', () => {
  it('is a status and fields', () => {
    const list: List = [
      [':status', '503'],
      ['x-a', 'b'],
    ];
    expect(parseResponse(list)).to.deep.equal({
      kind: 'parsed',
      head: { status: 503, fields: [['x-a', 'b']] },
    });
    expect(responseList({ status: 503, fields: [['x-a', 'b']] })).to.deep.equal(list);
  });

  for (const [title, list] of [
    ['no status', []],
    ['a status of two digits', [[':status', '20']]],
    ['a status of letters', [[':status', 'abc']]],
    [
      'a status twice',
      [
        [':status', '200'],
        [':status', '200'],
      ],
    ],
    [
      'a method',
      [
        [':status', '200'],
        [':method', 'GET'],
      ],
    ],
  ] satisfies [string, List][]) {
    it(`is malformed with ${title}`, () => {
      expect(parseResponse(list).kind).to.equal('malformed');
    });
  }
});

describe('trailers', () => {
  it('are fields, and none of the pseudo-header ones', () => {
    expect(parseTrailers([['x-a', 'b']]).kind).to.equal('parsed');
    expect(parseTrailers([[':status', '200']]).kind).to.equal('malformed');
  });
});
