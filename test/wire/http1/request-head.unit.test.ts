import { expect } from 'chai';
import { describe, it } from 'mocha';
import { parseRequestHead } from '../../../src/wire/http1/request-head.ts';
import {
  bytesOf,
  get,
  getOfBytes,
  LARGE,
  message,
  parseRequest,
  plain,
  post,
  requestHead,
} from './messages.ts';

const host = (...values: string[]): string =>
  message('GET / HTTP/1.1', ...values.map(value => `Host: ${value}`));
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];

describe('a request head', () => {
  it('is read up to the first byte behind it', () => {
    const text = post('Content-Length: 3');
    const parsed = parseRequest(`${text}abcGET`);
    expect(parsed).to.include({ kind: 'head', next: text.length });
  });

  it('says its target, host and fields', () => {
    const head = requestHead(
      message(
        'GET http://Shop.Example.:8080?q=1 HTTP/1.1',
        'HOST: shop.example:8080',
        'Accept: a',
        'X-Empty:',
        'x-b:\t one \t',
        'Accept: b',
      ),
    );
    expect(head.target).to.deep.equal({
      form: 'absolute',
      path: '/?q=1',
      authority: 'Shop.Example.:8080',
    });
    expect(head.host).to.equal('shop.example:8080');
    expect(head.fields.flat()).to.deep.equal([
      'accept',
      'a',
      'x-empty',
      '',
      'x-b',
      'one',
      'accept',
      'b',
    ]);
  });

  const hostForms = [
    { sent: 'A.Example', read: 'a.example' },
    { sent: 'a.example.', read: 'a.example' },
    { sent: 'a.example.:81', read: 'a.example:81' },
    { sent: 'a:80', read: 'a' },
    { sent: '[2001:DB8::1]:81', read: '[2001:db8::1]:81' },
    { sent: '10.0.0.1:1', read: '10.0.0.1:1' },
    { sent: ' a_b-c \t', read: 'a_b-c' },
  ];
  for (const { sent, read } of hostForms) {
    it(`reads the host ${JSON.stringify(sent)} as ${read}`, () => {
      expect(requestHead(host(sent)).host).to.equal(read);
    });
  }

  const framings = [
    { text: get(), framing: { kind: 'none' } },
    { text: post('Content-Length:0'), framing: { kind: 'length', bytes: 0 } },
    { text: post('Content-Length: 42 '), framing: { kind: 'length', bytes: 42 } },
    { text: post('Transfer-Encoding: chunked'), framing: { kind: 'chunked' } },
  ];
  for (const { text, framing: expected } of framings) {
    it(`frames a body as ${JSON.stringify(expected)}`, () => {
      expect(requestHead(text).framing).to.deep.equal(expected);
    });
  }

  const connections = [
    { version: 1, lines: [], keepAlive: true },
    { version: 1, lines: ['Connection: close'], keepAlive: false },
    { version: 1, lines: ['Connection: x', 'Connection: CLOSE'], keepAlive: false },
    { version: 1, lines: ['Connection: keep-alive, close'], keepAlive: false },
    { version: 0, lines: [], keepAlive: false },
    { version: 0, lines: ['Connection: Keep-Alive'], keepAlive: true },
    { version: 0, lines: ['Connection: keep-alive', 'Connection: close'], keepAlive: false },
  ];
  for (const { version, lines: sent, keepAlive } of connections) {
    it(`of HTTP/1.${version} with [${sent.join('; ')}] ${keepAlive ? 'keeps' : 'ends'} the connection`, () => {
      const head = requestHead(message(`GET / HTTP/1.${version}`, 'Host: a', ...sent));
      expect(head).to.include({ minorVersion: version, keepAlive });
    });
  }

  const upgrades = [
    { lines: UPGRADE, upgrade: 'websocket' },
    { lines: ['connection: keep-alive, UPGRADE', 'upgrade: TLS/1.2'], upgrade: 'tls/1.2' },
    { lines: ['Upgrade: websocket'], upgrade: undefined },
    { lines: ['Connection: Upgrade'], upgrade: undefined },
    { lines: ['Connection: Upgrade', 'Upgrade: websocket, foo'], upgrade: undefined },
    { lines: [...UPGRADE, 'Upgrade: foo'], upgrade: undefined },
    {
      lines: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: H2C', 'HTTP2-Settings: AAM'],
      upgrade: undefined,
    },
  ];
  for (const { lines: sent, upgrade } of upgrades) {
    it(`with [${sent.join('; ')}] asks for ${upgrade ?? 'no upgrade'} and forwards neither field`, () => {
      const head = requestHead(get(...sent));
      expect(head.upgrade).to.equal(upgrade);
      expect(head.fields.count).to.equal(0);
    });
  }

  it('of HTTP/1.0 can neither upgrade nor wait for a 100', () => {
    const sent = ['Host: a', ...UPGRADE, 'Content-Length: 1', 'Expect: 100-continue'];
    const head = requestHead(message('POST / HTTP/1.0', ...sent));
    expect(head).to.include({ upgrade: undefined, expectContinue: false });
  });

  it('waits for a 100 only when there is a body to wait with', () => {
    expect(requestHead(get('Expect: 100-continue')).expectContinue).to.equal(false);
    expect(requestHead(post('Content-Length: 1', 'Expect: 100-continue')).expectContinue).to.equal(
      true,
    );
  });

  it('has no field that is for this hop, or that Connection says is', () => {
    const head = requestHead(
      get(
        'Connection: X-Secret, TE, authorization',
        'Keep-Alive: timeout=5',
        'TE: trailers',
        'X-SECRET: a',
        'Authorization: b',
        'Proxy-Authorization: c',
        'Proxy-Connection: d',
        'Proxy: e',
        'Content_Length: 5',
        'Transfer_Encoding: chunked',
        'X-Kept: f',
      ),
    );
    expect(head.fields.flat()).to.deep.equal(['x-kept', 'f']);
    expect(head.framing).to.deep.equal({ kind: 'none' });
  });

  it('keeps its framing when Connection names it', () => {
    const head = requestHead(post('Connection: content-length, host', 'Content-Length: 3'));
    expect(head).to.deep.include({ host: 'a', framing: { kind: 'length', bytes: 3 } });
  });
});

describe('a request head that arrives in pieces', () => {
  const whole = `\r\n${post(...UPGRADE, 'X: a b', 'Y:\t\xe9 ', 'Content-Length: 0')}`;

  it('is incomplete at every prefix', () => {
    for (let end = 0; end < whole.length; end++) {
      const parsed = parseRequestHead(bytesOf(whole), 0, end);
      expect(parsed, `${end} bytes`).to.deep.equal({ kind: 'incomplete', scanned: end });
    }
  });

  it('is the same head wherever it was cut', () => {
    const bytes = bytesOf(`before${whole}GET`);
    const start = 'before'.length;
    const expected = plain(parseRequestHead(bytes, start, bytes.length));
    expect(expected).to.include({ kind: 'head', next: start + whole.length });
    for (let cut = start; cut < start + whole.length; cut++) {
      const first = parseRequestHead(bytes, start, cut);
      expect(first.kind).to.equal('incomplete');
      const scanned = first.kind === 'incomplete' ? first.scanned : -1;
      const second = parseRequestHead(bytes, start, bytes.length, scanned);
      expect(plain(second), `cut at ${cut}`).to.deep.equal(expected);
    }
  });

  it('is the same head when it comes byte by byte', () => {
    const bytes = bytesOf(whole);
    let scanned = 0;
    for (let end = 0; end < bytes.length; end++) {
      const parsed = parseRequestHead(bytes, 0, end, scanned);
      expect(parsed).to.deep.equal({ kind: 'incomplete', scanned: end });
      scanned = end;
    }
    expect(plain(parseRequestHead(bytes, 0, bytes.length, scanned))).to.deep.equal(
      plain(parseRequest(whole)),
    );
  });

  for (const text of [
    'GET / HTTP/1.1\r\nHost: a\n',
    'GET / HTTP/1.1\r\nHost: a\r\n\rX',
    'GET / HTTP/1.1\r\nX: \x00',
    '\r\n\r\n',
  ]) {
    it(`is refused as soon as ${JSON.stringify(text.slice(-3))} spoils it`, () => {
      const bytes = bytesOf(text);
      let scanned = 0;
      for (let end = 1; end < bytes.length; end++) {
        expect(parseRequestHead(bytes, 0, end, scanned).kind).to.equal('incomplete');
        scanned = end;
      }
      expect(parseRequestHead(bytes, 0, bytes.length, scanned).kind).to.equal('refused');
    });
  }

  it('is refused at the size limit even if it has no end', () => {
    const bytes = bytesOf(getOfBytes(LARGE + 100));
    const parsed = parseRequestHead(bytes, 0, LARGE - 1);
    expect(parsed.kind).to.equal('incomplete');
    expect(parseRequestHead(bytes, 0, LARGE, LARGE - 1)).to.include({ reason: 'head-too-large' });
  });
});
