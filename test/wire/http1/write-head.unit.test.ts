import { expect } from 'chai';
import { describe, it } from 'mocha';
import { FieldNames } from '../../../src/wire/http1/field-names.ts';
import { fieldsOf } from '../../../src/wire/http1/fields.ts';
import { UNTIL_CLOSE } from '../../../src/wire/http1/framing.ts';
import { writeRequestHead, writeResponseHead } from '../../../src/wire/http1/write-head.ts';
import { get, message, ok, post, requestHead, responseHead } from './messages.ts';

const MESH = new FieldNames({ 'x-forwarded-client-cert': true, 'x-isthmus-*': true });

describe('a request head for the next hop', () => {
  const rows = [
    {
      what: 'keeps end-to-end fields in their order and case',
      sent: get('X-b: 2', 'x-A: 1', 'X-b: \xff'),
      written: 'GET / HTTP/1.1\r\nhost: a\r\nX-b: 2\r\nx-A: 1\r\nX-b: \xff\r\n\r\n',
    },
    {
      what: 'has white space around values written anew',
      sent: get('A: 1', 'B:2', 'C:\t3 ', 'D:', 'E:  ', 'F: 6'),
      written: 'GET / HTTP/1.1\r\nhost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: \r\nE: \r\nF: 6\r\n\r\n',
    },
    {
      what: 'is in origin form with the canonical host',
      sent: message('GET http://A.b.:81?q HTTP/1.1', 'X: 1', 'Host: a.B:81'),
      written: 'GET /?q HTTP/1.1\r\nhost: a.b:81\r\nX: 1\r\n\r\n',
    },
    {
      what: 'keeps the asterisk form',
      sent: message('OPTIONS * HTTP/1.1', 'Host: a'),
      written: 'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n',
    },
    {
      what: 'is HTTP/1.1 for a client of HTTP/1.0',
      sent: message('GET / HTTP/1.0', 'Host: a', 'Connection: keep-alive'),
      written: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
    },
    {
      what: 'frames a length once',
      sent: post('A: 1', 'Content-Length: 3', 'B: 2'),
      written: 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nA: 1\r\nB: 2\r\n\r\n',
    },
    {
      what: 'frames chunks once and passes the expectation on',
      sent: post('Transfer-Encoding: chunked', 'Expect: 100-continue'),
      written:
        'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n',
    },
    {
      what: 'leaves out what was for the hop before',
      sent: get('Connection: close, X-Hop', 'X-Hop: 1', 'Keep-Alive: 5', 'TE: trailers', 'X: 1'),
      written: 'GET / HTTP/1.1\r\nhost: a\r\nX: 1\r\n\r\n',
    },
    {
      what: 'asks for the upgrade that was asked for',
      sent: get('Connection: Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Key: k'),
      written:
        'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
    },
  ];
  for (const { what, sent, written } of rows) {
    it(what, () => {
      expect(writeRequestHead(requestHead(sent))).to.equal(written);
    });
  }

  it('has the edits: fields dropped in any case or disguise, fields added, the connection closed', () => {
    const head = requestHead(
      get(
        'X-FORWARDED-CLIENT-CERT: evil',
        'X_Forwarded_Client_Cert: evil',
        'x-isthmus-explain: 1',
        'X-Isthmus-Anything: 1',
        'x-isthmus: kept',
        'X: 1',
      ),
    );
    const added = fieldsOf(['x-forwarded-client-cert', 'URI=spiffe://a/b']);
    expect(writeRequestHead(head, { drop: MESH, add: [added], connection: 'close' })).to.equal(
      'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-isthmus: kept\r\nX: 1\r\nx-forwarded-client-cert: URI=spiffe://a/b\r\n\r\n',
    );
  });
});

describe('a response head for the client', () => {
  const rows = [
    {
      what: 'keeps status, phrase and fields',
      head: responseHead(message('HTTP/1.0 404 Not  here', 'Content-Length: 0', 'Set-Cookie: a')),
      written: 'HTTP/1.1 404 Not  here\r\ncontent-length: 0\r\nSet-Cookie: a\r\n\r\n',
    },
    {
      what: 'frames chunks once',
      head: responseHead(ok('Transfer-Encoding: chunked', 'X: 1')),
      written: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX: 1\r\n\r\n',
    },
    {
      what: 'has no framing when the connection is the framing',
      head: responseHead(ok('X: 1')),
      written: 'HTTP/1.1 200 OK\r\nX: 1\r\n\r\n',
    },
    {
      what: 'to HEAD says the length that a GET would have had',
      head: responseHead(ok('Content-Length: 7'), { method: 'HEAD', upgrade: undefined }),
      written: 'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n',
    },
    {
      what: 'of a 204 has no length',
      head: responseHead(message('HTTP/1.1 204 No Content', 'Content-Length: 0')),
      written: 'HTTP/1.1 204 No Content\r\n\r\n',
    },
    {
      what: 'of a 101 names the protocol',
      head: responseHead(message('HTTP/1.1 101 Go', 'Connection: upgrade', 'Upgrade: WebSocket'), {
        method: 'GET',
        upgrade: 'websocket',
      }),
      written: 'HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    },
  ];
  for (const { what, head, written } of rows) {
    it(what, () => {
      expect(writeResponseHead(head)).to.equal(written);
    });
  }

  it('has another framing for a client that cannot read chunks', () => {
    const head = responseHead(ok('Transfer-Encoding: chunked'));
    expect(writeResponseHead(head, { framing: UNTIL_CLOSE, connection: 'close' })).to.equal(
      'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n',
    );
  });

  it('has no other framing where there is no body', () => {
    const head = responseHead(message('HTTP/1.1 304 Not Modified'));
    expect(writeResponseHead(head, { framing: { kind: 'chunked' } })).to.equal(
      'HTTP/1.1 304 Not Modified\r\n\r\n',
    );
  });
});

describe('a head that no parser made', () => {
  const request = requestHead(get());
  const response = responseHead(ok('Content-Length: 0'));

  for (const text of ['/\r\nX: a', '/\n', '/\0', '/\u010a']) {
    it(`is not written with ${JSON.stringify(text)} in its first lines`, () => {
      const target = { form: 'origin', path: text, authority: undefined } as const;
      expect(() => writeRequestHead({ ...request, target })).to.throw('does not fit');
      expect(() => writeRequestHead({ ...request, method: text })).to.throw('does not fit');
      expect(() => writeRequestHead({ ...request, host: text })).to.throw('does not fit');
      expect(() => writeResponseHead({ ...response, reason: text })).to.throw('does not fit');
      expect(writeRequestHead({ ...request, host: 'b' })).to.equal(
        'GET / HTTP/1.1\r\nhost: b\r\n\r\n',
      );
    });
  }
});

describe('fields that are added', () => {
  const illegal: readonly (readonly [string, string])[] = [
    ['x', 'a\r\nb: c'],
    ['x', 'a\nb'],
    ['x', 'a\rb'],
    ['x', 'a\0b'],
    // Written as latin1, U+010A is a line feed.
    ['x', 'a\u010ab'],
    ['x y', 'a'],
    ['x:', 'a'],
    ['', 'a'],
    ['x\u010d', 'a'],
    ['Content-Length', '1'],
    ['transfer-encoding', 'chunked'],
    ['host', 'a'],
    ['connection', 'close'],
  ];
  for (const [name, value] of illegal) {
    it(`may not be ${JSON.stringify(name)} with ${JSON.stringify(value)}`, () => {
      expect(() => fieldsOf([name, value])).to.throw('is no');
    });
  }

  it('may have any value that a parser lets through', () => {
    expect(fieldsOf(['X-a', 'b\t\xff', 'c', '']).flat()).to.deep.equal(['x-a', 'b\t\xff', 'c', '']);
  });
});

describe('fields of a head', () => {
  const { fields } = requestHead(get('X-One: 1', 'x-two: a, b', 'X-TWO: c', 'x_two: d'));

  it('are found in any case, the first or every one', () => {
    expect(fields.first('x-one')).to.equal('1');
    expect(fields.first('x-two')).to.equal('a, b');
    expect(fields.all('x-two')).to.deep.equal(['a, b', 'c']);
    expect(fields.count).to.equal(4);
  });

  it('are undefined or an empty list when not there', () => {
    expect(fields.first('x')).to.equal(undefined);
    expect(fields.all('x-on')).to.deep.equal([]);
  });
});
