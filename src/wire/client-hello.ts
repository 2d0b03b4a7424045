/**
 * The ClientHello of a TLS connection (RFC 8446 §4.1.2), read without taking part in the handshake.
 *
 * A pure function over the bytes that arrived so far: whole handshake found, more bytes needed, or
 * refused. The message is reassembled across records (RFC 8446 §5.1), so how the peer cut it up never
 * changes the answer. Every length must fill its container exactly. It never throws and never reads
 * past the bytes it was given, and there is no fallback: what it cannot read, nobody routes.
 */

/** Handshake message with its header. Post-quantum key shares make honest ones about 2 KiB. */
export const CLIENT_HELLO_BYTES_MAX = 16 * 1024;
/** An honest client uses one or two records; more only costs the reader time. */
const CLIENT_HELLO_RECORDS_MAX = 64;

export type ClientHello =
  | {
      readonly kind: 'incomplete';
      /** No shorter input can give another answer. */
      readonly bytesNeeded: number;
    }
  | {
      readonly kind: 'found';
      /** As sent, or undefined when the client named no server. */
      readonly serverName: string | undefined;
    }
  | { readonly kind: 'refused'; readonly reason: ClientHelloRefusal };

export type ClientHelloRefusal =
  /** Another protocol: plaintext HTTP, an SSLv2 hello, noise. */
  | 'not-tls'
  | 'too-large'
  /** TLS, but a length or an order that RFC 8446 forbids. */
  | 'malformed'
  /** More than one server name, a name that is no host name, a forbidden character. */
  | 'bad-server-name';

const RECORD_HEADER_BYTES = 5;
/** RFC 8446 §5.1: a plaintext record holds at most 2^14 bytes. */
const RECORD_BYTES_MAX = 2 ** 14;
const CONTENT_TYPE_HANDSHAKE = 22;
const HANDSHAKE_HEADER_BYTES = 4;
const HANDSHAKE_CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST = 0;
/** RFC 1035 §2.3.4, with the optional trailing dot. */
const SERVER_NAME = /^[A-Za-z0-9_.-]{1,254}$/;

const EMPTY = new Uint8Array();

export function readClientHello(bytes: Uint8Array): ClientHello {
  const handshake = reassemble(bytes);
  return handshake instanceof Reader ? parseHello(handshake) : handshake;
}

/** The first handshake message, without record headers. Not copied when it came in one record. */
function reassemble(bytes: Uint8Array): Reader | ClientHello {
  let joined: Uint8Array = EMPTY;
  let offset = 0;
  for (let records = 0; records < CLIENT_HELLO_RECORDS_MAX; records++) {
    // Another protocol is refused on its first byte; it may never send a second one.
    if (bytes.length > offset && bytes[offset] !== CONTENT_TYPE_HANDSHAKE) {
      return refused(records === 0 ? 'not-tls' : 'malformed');
    }
    if (bytes.length > offset + 1 && bytes[offset + 1] !== 3) return refused('not-tls');
    const start = offset + RECORD_HEADER_BYTES;
    if (bytes.length < start) return incomplete(start);
    const length = uint16(bytes, offset + 3);
    if (length === 0 || length > RECORD_BYTES_MAX) return refused('malformed');
    const end = start + length;
    const present = Math.min(end, bytes.length);
    const message =
      records === 0
        ? new Reader(bytes, start, present)
        : new Reader((joined = concat(joined, bytes.subarray(start, present))));

    if (message.length >= HANDSHAKE_HEADER_BYTES) {
      const total = HANDSHAKE_HEADER_BYTES + message.peekUint24(1);
      if (message.peekUint8(0) !== HANDSHAKE_CLIENT_HELLO) return refused('malformed');
      if (total > CLIENT_HELLO_BYTES_MAX) return refused('too-large');
      // RFC 8446 §5.1: nothing may follow a ClientHello inside its last record.
      if (message.length + (end - present) > total) return refused('malformed');
      if (message.length === total) return message;
    }
    if (present < end) return incomplete(end);
    if (records === 0) joined = bytes.subarray(start, end);
    offset = end;
  }
  return refused('too-large');
}

function parseHello(body: Reader): ClientHello {
  body.skip(HANDSHAKE_HEADER_BYTES);
  body.skip(2 + 32); // legacy_version, random
  const sessionId = body.vector(1);
  const cipherSuites = body.vector(2);
  const compression = body.vector(1);
  if (body.overran() || sessionId.length > 32 || compression.length === 0) {
    return refused('malformed');
  }
  if (cipherSuites.length === 0 || cipherSuites.length % 2 !== 0) return refused('malformed');
  if (body.atEnd()) return { kind: 'found', serverName: undefined };
  const extensions = body.vector(2);
  if (body.overran() || !body.atEnd()) return refused('malformed');
  return parseExtensions(extensions);
}

function parseExtensions(extensions: Reader): ClientHello {
  const seen = new Set<number>();
  let serverName: string | undefined;
  while (!extensions.atEnd()) {
    const type = extensions.uint16();
    const content = extensions.vector(2);
    // RFC 8446 §4.2: no two extensions of one type; two readers could pick different ones.
    if (extensions.overran() || seen.has(type)) return refused('malformed');
    seen.add(type);
    if (type !== EXTENSION_SERVER_NAME) continue;
    serverName = parseServerName(content);
    if (serverName === undefined) return refused('bad-server-name');
  }
  return { kind: 'found', serverName };
}

/** RFC 6066 §3, of which only one form exists in practice: a list of exactly one host name. */
function parseServerName(content: Reader): string | undefined {
  const list = content.vector(2);
  const type = list.uint8();
  const name = list.vector(2).latin1();
  if (content.overran() || !content.atEnd() || list.overran() || !list.atEnd()) return undefined;
  return type === NAME_TYPE_HOST && SERVER_NAME.test(name) ? name : undefined;
}

/** Reads forward over one container, without copying it; after an overrun every read is empty. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;
  #overran = false;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  /** What is left. */
  get length(): number {
    return this.#end - this.#offset;
  }

  /** Something claimed to be longer than its container. */
  overran(): boolean {
    return this.#overran;
  }

  atEnd(): boolean {
    return this.#overran || this.#offset === this.#end;
  }

  peekUint8(at: number): number {
    return this.#bytes[this.#offset + at] ?? 0;
  }

  peekUint24(at: number): number {
    return (this.peekUint8(at) << 16) | uint16(this.#bytes, this.#offset + at + 1);
  }

  uint8(): number {
    const start = this.#take(1);
    return this.#overran ? 0 : (this.#bytes[start] ?? 0);
  }

  uint16(): number {
    const start = this.#take(2);
    return this.#overran ? 0 : uint16(this.#bytes, start);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** A vector whose length stands before it in `lengthBytes` bytes (RFC 8446 §3.4). */
  vector(lengthBytes: 1 | 2): Reader {
    const length = lengthBytes === 1 ? this.uint8() : this.uint16();
    const start = this.#take(length);
    return this.#overran ? new Reader(EMPTY) : new Reader(this.#bytes, start, start + length);
  }

  /** All that is left. */
  latin1(): string {
    let text = '';
    for (let at = this.#offset; at < this.#end; at++) {
      text += String.fromCharCode(this.#bytes[at] ?? 0);
    }
    return text;
  }

  /** Where it starts. */
  #take(count: number): number {
    const start = this.#offset;
    if (this.#overran || count > this.length) this.#overran = true;
    else this.#offset += count;
    return start;
  }
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function incomplete(bytesNeeded: number): ClientHello {
  return { kind: 'incomplete', bytesNeeded };
}

function refused(reason: ClientHelloRefusal): ClientHello {
  return { kind: 'refused', reason };
}
