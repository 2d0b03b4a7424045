import { expect } from 'chai';
import { describe, it } from 'mocha';
import { bodyReader } from '../../../src/wire/http1/body.ts';
import { ChunkedReader, chunkHead, lastChunk } from '../../../src/wire/http1/chunked.ts';
import { FieldNames } from '../../../src/wire/http1/field-names.ts';
import { fieldsOf } from '../../../src/wire/http1/fields.ts';
import { CHUNKED, type Framing, UNTIL_CLOSE } from '../../../src/wire/http1/framing.ts';
import { CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX } from '../../../src/wire/http1/limits.ts';
import { manyFields, message, ok, readBody, readResponse } from './messages.ts';

function read(framing: Framing, ...pieces: string[]): ReturnType<typeof readBody> {
  return readBody(bodyReader(framing), pieces);
}

describe('a body with a length', () => {
  const five: Framing = { kind: 'length', bytes: 5 };

  it('ends at its last byte and leaves what follows', () => {
    expect(read(five, 'hel', '', 'loGET')).to.deep.equal({
      end: 'done',
      content: 'hello',
      left: 'GET',
    });
  });

  it('is not whole before its last byte', () => {
    const reader = bodyReader(five);
    expect(readBody(reader, ['hell']).end).to.equal('more');
    expect(reader.whole).to.equal(false);
    expect(readBody(reader, ['o']).end).to.equal('done');
    expect(reader.whole).to.equal(true);
  });

  it('of no bytes is done before any came', () => {
    expect(read({ kind: 'length', bytes: 0 }, '')).to.include({ end: 'done' });
    expect(read({ kind: 'none' }, 'GET')).to.include({ end: 'done', left: 'GET' });
  });
});

describe('a body until the connection closes', () => {
  it('is all that comes, and whole whenever the connection ends', () => {
    expect(read(UNTIL_CLOSE, 'a', '', 'b')).to.include({ end: 'more', content: 'ab' });
    expect(bodyReader(UNTIL_CLOSE).whole).to.equal(true);
  });
});

describe('a response body', () => {
  for (const [what, fields, body] of [
    ['a length', ['Content-Length: 2'], 'ok'],
    ['chunks', ['Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\n\r\n'],
  ] as const) {
    it(`with ${what} leaves what follows it`, () => {
      expect(readResponse(ok(...fields) + body)).to.include({ end: 'done', content: 'ok' });
      expect(readResponse(`${ok(...fields)}${body}H`)).to.include({ end: 'done', left: 'H' });
    });
  }

  for (const statusLine of ['HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified']) {
    it(`of ${statusLine} is empty, whatever follows`, () => {
      expect(readResponse(message(statusLine))).to.include({ end: 'done', left: '' });
      expect(readResponse(`${message(statusLine)}x`)).to.include({ end: 'done', left: 'x' });
    });
  }

  it('to HEAD is empty, whatever its length says', () => {
    const asked = { method: 'HEAD', upgrade: undefined };
    expect(readResponse(ok('Content-Length: 2'), asked)).to.include({ end: 'done', left: '' });
    expect(readResponse(`${ok('Content-Length: 2')}ok`, asked)).to.include({ left: 'ok' });
  });
});

describe('a chunked body', () => {
  const longExtension = 'e'.repeat(CHUNK_EXTENSION_BYTES_MAX);
  const trailerOf = (bytes: number): string =>
    `0\r\n${message(`X: ${'v'.repeat(bytes - message('X: ').length)}`)}`;
  const rows = [
    { what: 'no size', refused: '\r\nok\r\n', reason: 'bad-chunk-size', twin: '2\r\nok\r\n' },
    { what: 'a sign', refused: '+2\r\nok\r\n', reason: 'bad-chunk-size', twin: '02\r\nok\r\n' },
    { what: 'a minus', refused: '-2\r\nok\r\n', reason: 'bad-chunk-size', twin: '2\r\nok\r\n' },
    { what: 'a prefix', refused: '0x2\r\nok\r\n', reason: 'bad-chunk-size', twin: '2\r\nok\r\n' },
    { what: 'a letter', refused: '2g\r\nok\r\n', reason: 'bad-chunk-size', twin: 'a\r\n' },
    {
      what: 'a space behind',
      refused: '2 \r\nok\r\n',
      reason: 'bad-chunk-size',
      twin: '2\r\nok\r\n',
    },
    {
      what: 'a space before',
      refused: ' 2\r\nok\r\n',
      reason: 'bad-chunk-size',
      twin: '2\r\nok\r\n',
    },
    { what: 'a tab', refused: '2\t\r\nok\r\n', reason: 'bad-chunk-size', twin: '2\r\nok\r\n' },
    { what: 'an underscore', refused: '1_0\r\n', reason: 'bad-chunk-size', twin: '10\r\n' },
    { what: 'a separator', refused: '2,2\r\nok', reason: 'bad-chunk-size', twin: '2\r\nok' },
    {
      what: 'no digit before an extension',
      refused: ';a\r\n',
      reason: 'bad-chunk-size',
      twin: '2;a\r\n',
    },
    {
      what: 'space before an extension',
      refused: '2 ;a\r\n',
      reason: 'bad-chunk-size',
      twin: '2; a\r\n',
    },
    {
      what: '2^53',
      refused: '20000000000000\r\n',
      reason: 'bad-chunk-size',
      twin: '1fffffffffffff\r\n',
    },
    {
      what: '2^64',
      refused: '10000000000000000\r\n',
      reason: 'bad-chunk-size',
      twin: '0000000000000001\r\n',
    },
    {
      what: 'zeros without end',
      refused: '0'.repeat(17),
      reason: 'bad-chunk-size',
      twin: '0'.repeat(16),
    },
    {
      what: 'LF behind the size',
      refused: '2\nok\r\n',
      reason: 'bad-chunk-size',
      twin: '2\r\nok\r\n',
    },
    {
      what: 'CR alone behind the size',
      refused: '2\rok\r\n',
      reason: 'bad-line-ending',
      twin: '2\r\nok\r\n',
    },
    {
      what: 'CR CR LF behind the size',
      refused: '2\r\r\nok',
      reason: 'bad-line-ending',
      twin: '2\r\nok',
    },
    {
      what: 'LF behind an extension',
      refused: '2;a\nok',
      reason: 'bad-chunk-extension',
      twin: '2;a\r\nok',
    },
    {
      what: 'CR in an extension',
      refused: '2;a\rb\r\n',
      reason: 'bad-line-ending',
      twin: '2;ab\r\n',
    },
    {
      what: 'NUL in an extension',
      refused: '2;a\x00\r\n',
      reason: 'bad-chunk-extension',
      twin: '2;a="\xff"\r\n',
    },
    {
      what: 'a long extension',
      refused: `2;${longExtension}e\r\n`,
      reason: 'bad-chunk-extension',
      twin: `2;${longExtension}\r\nok\r\n2;${longExtension}\r\n`,
    },
    {
      what: 'content longer than its size',
      refused: '2\r\noka',
      reason: 'bad-chunk-end',
      twin: '3\r\noka\r\n',
    },
    {
      what: 'content shorter than its size',
      refused: '3\r\nok\r\n0',
      reason: 'bad-chunk-end',
      twin: '2\r\nok\r\n0',
    },
    {
      what: 'LF behind the content',
      refused: '2\r\nok\n',
      reason: 'bad-chunk-end',
      twin: '2\r\nok\r\n',
    },
    {
      what: 'CR alone behind the content',
      refused: '2\r\nok\r0',
      reason: 'bad-chunk-end',
      twin: '2\r\nok\r\n0',
    },
    { what: 'LF for the end', refused: '0\r\n\n', reason: 'bad-line-ending', twin: '0\r\n\r\n' },
    {
      what: 'CR alone for the end',
      refused: '0\r\n\rX',
      reason: 'bad-line-ending',
      twin: '0\r\n\r\n',
    },
    {
      what: 'LF in the trailers',
      refused: '0\r\nX: a\n\r\n',
      reason: 'bad-line-ending',
      twin: '0\r\nX: a\r\n\r\n',
    },
    {
      what: 'a folded trailer',
      refused: '0\r\nX: a\r\n b\r\n\r\n',
      reason: 'obs-fold',
      twin: '0\r\nX: a b\r\n\r\n',
    },
    {
      what: 'a trailer without a name',
      refused: '0\r\n: a\r\n\r\n',
      reason: 'bad-field-name',
      twin: '0\r\nX: a\r\n\r\n',
    },
    {
      what: 'NUL in a trailer',
      refused: '0\r\nX: \x00\r\n\r\n',
      reason: 'bad-field-value',
      twin: '0\r\nX: a\r\n\r\n',
    },
    ...['Content-Length: 5', 'Transfer-Encoding: chunked', 'Host: evil', 'Connection: close'].map(
      trailer => ({
        what: `the trailer ${trailer}`,
        refused: `0\r\n${message(trailer)}`,
        reason: 'bad-trailer',
        twin: `0\r\n${message('X-Sum: 1')}`,
      }),
    ),
    {
      what: 'a long trailer section',
      refused: trailerOf(TRAILER_BYTES_MAX + 1),
      reason: 'trailer-too-large',
      twin: trailerOf(TRAILER_BYTES_MAX),
    },
    {
      what: 'too many trailers',
      refused: `0\r\n${message(...manyFields(101))}`,
      reason: 'too-many-fields',
      twin: `0\r\n${message(...manyFields(100))}`,
    },
  ];
  for (const { what, refused, reason, twin } of rows) {
    it(`is refused for ${what}`, () => {
      expect(read(CHUNKED, refused).end).to.equal(reason);
      expect(read(CHUNKED, twin).end, 'the legal twin').to.be.oneOf(['done', 'more']);
    });
  }

  const whole = '3;ext="a;b"\r\nabc\r\n0A\r\n0123456789\r\n1\r\n\r\r\n00;e\r\nX-Sum: 1\r\n\r\n';
  const content = 'abc0123456789\r';

  it('is read the same wherever it was cut, and incomplete at every prefix', () => {
    for (let cut = 0; cut <= whole.length; cut++) {
      const reader = new ChunkedReader();
      const first = readBody(reader, [whole.slice(0, cut)]);
      expect(first.end, `cut at ${cut}`).to.equal(cut < whole.length ? 'more' : 'done');
      expect(reader.whole).to.equal(cut === whole.length);
      const second = readBody(reader, [`${whole.slice(cut)}GET`]);
      expect(second.end).to.equal('done');
      expect(first.content + second.content).to.equal(content);
      expect(second.left).to.equal('GET');
      expect(reader.trailers.flat()).to.deep.equal(['x-sum', '1']);
    }
  });

  it('is read the same byte by byte', () => {
    expect(read(CHUNKED, ...whole.split(''))).to.deep.equal({ end: 'done', content, left: '' });
  });

  it('has none of the trailers that authorize, name the caller or are for one hop', () => {
    const reader = new ChunkedReader();
    const trailers = message(
      'TE: trailers',
      'Authorization: b',
      'Set-Cookie: c',
      'X-Forwarded-Client-Cert: d',
      'Grpc-Status: 0',
    );
    expect(readBody(reader, [`0\r\n${trailers}`]).end).to.equal('done');
    expect(reader.trailers.flat()).to.deep.equal(['grpc-status', '0']);
  });

  it('is written so that it reads the same', () => {
    const trailers = fieldsOf(['x-sum', '1', 'x-isthmus-explain', '1']);
    const written = `${chunkHead(26)}${'a'.repeat(26)}\r\n${lastChunk(trailers, new FieldNames({ 'x-isthmus-*': true }))}`;
    expect(written).to.equal(`1a\r\n${'a'.repeat(26)}\r\n0\r\nx-sum: 1\r\n\r\n`);
    expect(read(CHUNKED, written)).to.deep.equal({
      end: 'done',
      content: 'a'.repeat(26),
      left: '',
    });
  });
});
