/** ClientHellos for tests: real ones from node:tls, and hand-made ones with any field wrong. */

import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';

/** The first flight of Node's own TLS client, without a socket. */
export async function realHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise(resolve => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        resolve(chunk);
        done();
        wire.destroy();
      },
    });
    connect({ socket: wire, ...options }).on('error', () => undefined);
  });
}

export function uint8(value: number): Buffer {
  return Buffer.of(value);
}
export function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}
function uint24(value: number): Buffer {
  return Buffer.of(value >> 16, (value >> 8) & 0xff, value & 0xff);
}
export function vector8(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint8(content.length), content]);
}
export function vector16(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint16(content.length), content]);
}

export function extension(type: number, content: Uint8Array): Buffer {
  return Buffer.concat([uint16(type), vector16(content)]);
}
export function hostName(name: string): Buffer {
  return Buffer.concat([uint8(0), vector16(Buffer.from(name, 'latin1'))]);
}
export function serverName(name: string): Buffer {
  return extension(0, vector16(hostName(name)));
}

export interface HandmadeHello {
  readonly sessionId?: Buffer;
  readonly cipherSuites?: Buffer;
  readonly compression?: Buffer;
  /** The extensions block with its length, or nothing at all. */
  readonly extensions?: Buffer;
}

export const NO_EXTENSIONS_BLOCK = Buffer.alloc(0);

/** The handshake message, without a record around it. */
export function handshake(hello: HandmadeHello = {}): Buffer {
  const body = Buffer.concat([
    uint16(0x0303),
    Buffer.alloc(32, 7),
    hello.sessionId ?? vector8(Buffer.alloc(32, 1)),
    hello.cipherSuites ?? vector16(uint16(0x1301)),
    hello.compression ?? vector8(uint8(0)),
    hello.extensions ?? vector16(serverName('a.example')),
  ]);
  return Buffer.concat([uint8(1), uint24(body.length), body]);
}

/** One record around each fragment. */
export function records(...fragments: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    fragments.flatMap(fragment => [Buffer.of(22, 3, 1), uint16(fragment.length), fragment]),
  );
}

/** Cut into `count` fragments of nearly equal size. */
export function cut(bytes: Buffer, count: number): Buffer[] {
  const size = Math.ceil(bytes.length / count);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size)).filter(
    part => part.length > 0,
  );
}

/** A hello whose handshake message is exactly this long. */
export function helloOfSize(bytes: number): Buffer {
  const named = serverName('a.example');
  const empty = handshake({ extensions: vector16(named, extension(21, Buffer.alloc(0))) });
  const padding = extension(21, Buffer.alloc(bytes - empty.length));
  return handshake({ extensions: vector16(named, padding) });
}
