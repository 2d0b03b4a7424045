import { expect } from 'chai';
import { readRequest, readResponse } from './strict-reader.ts';

const HOST = 'Host: a\r\n';

describe('the strict reader, which judges the sidecar,', () => {
  for (const [what, text, body] of [
    ['no body', `GET / HTTP/1.1\r\n${HOST}\r\n`, ''],
    ['a length', `POST / HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nhi`, 'hi'],
    [
      'chunks and a trailer',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n`,
      'hi',
    ],
  ] as const) {
    it(`reads a request with ${what}, and no byte of the next`, () => {
      const reading = readRequest(`${text}GET /next`);
      expect(reading).to.have.property('kind', 'message');
      expect(reading).to.have.property('length', text.length);
      expect(reading).to.have.nested.property('message.body', body);
      for (let end = 0; end < text.length; end++) {
        expect(readRequest(text.slice(0, end)).kind).to.equal('incomplete');
      }
    });
  }

  for (const [what, text] of [
    ['a bare LF', `GET / HTTP/1.1\n${HOST}\r\n\r\n`],
    [
      'two framings',
      `POST / HTTP/1.1\r\n${HOST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ],
    ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a signed length', `POST / HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\na`],
    ['another coding', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    [
      'a chunk extension',
      `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0;a\r\n\r\n`,
    ],
    ['a space before the colon', `GET / HTTP/1.1\r\n${HOST}A : b\r\n\r\n`],
    ['a folded line', `GET / HTTP/1.1\r\n${HOST}A: b\r\n c\r\n\r\n`],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
  ] as const) {
    it(`refuses a request with ${what}`, () => {
      expect(readRequest(text).kind).to.equal('ill-framed');
    });
  }

  it('reads a response until the close when it says no length, and none to a HEAD', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nbody';
    expect(readResponse(text)).to.have.nested.property('message.body', 'body');
    expect(readResponse(text, true)).to.have.nested.property('message.body', '');
  });

  it('refuses a response with two framings', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n';
    expect(readResponse(text).kind).to.equal('ill-framed');
  });
});
