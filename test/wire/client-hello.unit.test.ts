import { expect } from 'chai';
import { CLIENT_HELLO_BYTES_MAX, readClientHello } from '../../src/wire/client-hello.ts';
import {
  cut,
  extension,
  handshake,
  helloOfSize,
  hostName,
  NO_EXTENSIONS_BLOCK,
  realHello,
  records,
  serverName,
  uint8,
  uint16,
  vector8,
  vector16,
} from './client-hello-bytes.ts';

const FOUND = { kind: 'found', serverName: 'payments.example' };

describe('a ClientHello', () => {
  let real: Buffer;
  before(async () => {
    real = await realHello({ servername: 'payments.example', ALPNProtocols: ['h2'] });
  });

  it('of a real TLS client yields its server name', () => {
    expect(readClientHello(real)).to.deep.equal(FOUND);
  });

  it('of a client that names no server has none', async () => {
    const hello = await realHello({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(readClientHello(hello)).to.deep.equal({ kind: 'found', serverName: undefined });
  });

  it('without extensions at all has none', () => {
    const hello = records(handshake({ extensions: NO_EXTENSIONS_BLOCK }));
    expect(readClientHello(hello)).to.deep.equal({ kind: 'found', serverName: undefined });
  });

  it('is incomplete at every byte before its last, and says how many it needs at least', () => {
    for (let length = 0; length < real.length; length++) {
      const prefix = readClientHello(real.subarray(0, length));
      expect(prefix, `prefix of ${length}`).to.include({ kind: 'incomplete' });
      if (prefix.kind === 'incomplete') {
        expect(prefix.bytesNeeded).to.be.greaterThan(length).and.at.most(real.length);
      }
    }
  });

  it('reads the same however many records it was cut into', () => {
    const message = real.subarray(5);
    for (let count = 1; count <= 20; count++) {
      expect(readClientHello(records(...cut(message, count))), `${count} records`).to.deep.equal(
        FOUND,
      );
    }
  });

  it('reads the same when its handshake header is cut into one-byte records', () => {
    const message = real.subarray(5);
    const bytes = Array.from({ length: 8 }, (_, i) => message.subarray(i, i + 1));
    expect(readClientHello(records(...bytes, message.subarray(8)))).to.deep.equal(FOUND);
  });

  it('is read up to 16 KiB and refused above', () => {
    for (const bytes of [1_700, 5_476, CLIENT_HELLO_BYTES_MAX]) {
      const hello = records(...cut(helloOfSize(bytes), 2));
      expect(readClientHello(hello), `${bytes} bytes`).to.include({ kind: 'found' });
    }
    const above = records(...cut(helloOfSize(CLIENT_HELLO_BYTES_MAX + 1), 2));
    expect(readClientHello(above)).to.deep.equal({ kind: 'refused', reason: 'too-large' });
    expect(readClientHello(above.subarray(0, 100))).to.deep.equal({
      kind: 'refused',
      reason: 'too-large',
    });
  });

  it('in more records than an honest client makes is refused', () => {
    const message = handshake();
    const bytes = Array.from(message, byte => Buffer.of(byte));
    expect(readClientHello(records(...bytes))).to.deep.equal({
      kind: 'refused',
      reason: 'too-large',
    });
  });

  it('ignores what follows its last record', () => {
    expect(readClientHello(Buffer.concat([real, Buffer.from('more')]))).to.deep.equal(FOUND);
  });

  const NAME = serverName('a.example');
  const hello = (...extensions: Buffer[]): Buffer =>
    records(handshake({ extensions: vector16(...extensions) }));
  const whole = handshake();
  const twin: readonly [string, Buffer][] = [
    ['a hand-made hello', records(whole)],
    ['a name of 253 characters', hello(serverName(`${'a'.repeat(249)}.com`))],
    ['a trailing dot', hello(serverName('a.example.'))],
    ['an unknown (GREASE) extension', hello(extension(0x0a0a, Buffer.alloc(0)), NAME)],
    ['another extension behind the name', hello(NAME, extension(16, Buffer.alloc(0)))],
  ];
  for (const [title, bytes] of twin) {
    it(`with ${title} is read`, () => {
      expect(readClientHello(bytes)).to.include({ kind: 'found' });
    });
  }

  const refusals: readonly [string, string, Buffer][] = [
    ['plaintext HTTP', 'not-tls', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['an HTTP/2 preface', 'not-tls', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['a PROXY header', 'not-tls', Buffer.from('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n')],
    ['an SSLv2 hello', 'not-tls', Buffer.of(0x80, 0x2e, 1, 3, 1)],
    ['one byte of something else', 'not-tls', Buffer.of(0x16 + 1)],
    ['a record of no TLS version', 'not-tls', Buffer.of(22, 9, 9, 0, 5)],
    ['a record length of 65535', 'malformed', Buffer.of(22, 3, 1, 0xff, 0xff)],
    ['a record of no bytes', 'malformed', records(Buffer.alloc(0), whole)],
    ['another handshake message', 'malformed', records(Buffer.of(2, 0, 0, 1, 0))],
    ['bytes after the hello in its record', 'malformed', records(Buffer.concat([whole, uint8(0)]))],
    [
      'an alert between two fragments',
      'malformed',
      Buffer.concat([records(whole.subarray(0, 9)), Buffer.of(21, 3, 1, 0, 2, 1, 0)]),
    ],
    ['a body of no bytes', 'malformed', records(Buffer.of(1, 0, 0, 0))],
    [
      'a session ID of 33 bytes',
      'malformed',
      records(handshake({ sessionId: vector8(Buffer.alloc(33)) })),
    ],
    [
      'an odd cipher suite list',
      'malformed',
      records(handshake({ cipherSuites: vector16(uint8(1)) })),
    ],
    ['no cipher suite', 'malformed', records(handshake({ cipherSuites: vector16() }))],
    ['no compression method', 'malformed', records(handshake({ compression: vector8() }))],
    [
      'an extensions block longer than the hello',
      'malformed',
      records(handshake({ extensions: Buffer.concat([uint16(500), NAME]) })),
    ],
    [
      'bytes after the extensions block',
      'malformed',
      records(handshake({ extensions: Buffer.concat([vector16(NAME), uint8(0)]) })),
    ],
    [
      'an extension longer than its block',
      'malformed',
      hello(Buffer.concat([uint16(5), uint16(9)])),
    ],
    ['two server name extensions', 'malformed', hello(NAME, serverName('b.example'))],
    [
      'two extensions of one unknown type',
      'malformed',
      hello(extension(99, uint8(1)), extension(99, uint8(2))),
    ],
    [
      'two host names',
      'bad-server-name',
      hello(extension(0, vector16(hostName('a.example'), hostName('b.example')))),
    ],
    ['an empty server name list', 'bad-server-name', hello(extension(0, vector16()))],
    ['an empty server name extension', 'bad-server-name', hello(extension(0, Buffer.alloc(0)))],
    ['an empty host name', 'bad-server-name', hello(serverName(''))],
    [
      'a name of another type',
      'bad-server-name',
      hello(extension(0, vector16(uint8(1), vector16(Buffer.from('a'))))),
    ],
    [
      'a name length past its list',
      'bad-server-name',
      hello(extension(0, vector16(uint8(0), uint16(65_535), Buffer.from('a')))),
    ],
    [
      'bytes after the name list',
      'bad-server-name',
      hello(extension(0, Buffer.concat([vector16(hostName('a')), uint8(0)]))),
    ],
    ['a name of 255 characters', 'bad-server-name', hello(serverName('a'.repeat(255)))],
    ['a NUL in the name', 'bad-server-name', hello(serverName('a\0.example'))],
    ['a space in the name', 'bad-server-name', hello(serverName('a b'))],
    ['a "/" in the name', 'bad-server-name', hello(serverName('a/b'))],
    ['a "*" in the name', 'bad-server-name', hello(serverName('*.example'))],
    ['a byte above ASCII in the name', 'bad-server-name', hello(serverName('a\u00e9'))],
    ['a line break in the name', 'bad-server-name', hello(serverName('a\n'))],
  ];
  for (const [title, reason, bytes] of refusals) {
    it(`with ${title} is refused as ${reason}`, () => {
      expect(readClientHello(bytes)).to.deep.equal({ kind: 'refused', reason });
    });
  }
});
