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
export const CLIENT_HELLO_RECORDS_MAX = 64;

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
      readonly alpn: readonly string[];
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
const EXTENSION_ALPN = 16;
const NAME_TYPE_HOST = 0;
/** RFC 1035 §2.3.4, with the optional trailing dot. */
const SERVER_NAME = /^[A-Za-z0-9_.-]{1,254}$/;

export function readClientHello(bytes: Uint8Array): ClientHello {
  const handshake = reassemble(bytes);
  return handshake instanceof Uint8Array ? parseHello(handshake) : handshake;
}

/** The bytes of the first handshake message, without record headers. */
function reassemble(bytes: Uint8Array): Uint8Array | ClientHello {
  const fragments: Uint8Array[] = [];
  let collected = 0;
  let offset = 0;
  for (let records = 0; records < CLIENT_HELLO_RECORDS_MAX; records++) {
    const header = bytes.subarray(offset, offset + RECORD_HEADER_BYTES);
    // Another protocol is refused on its first byte; it may never send a second one.
    if (header[0] !== undefined && header[0] !== CONTENT_TYPE_HANDSHAKE) {
      return refused(records === 0 ? 'not-tls' : 'malformed');
    }
    if (header[1] !== undefined && header[1] !== 3) return refused('not-tls');
    if (header.length < RECORD_HEADER_BYTES) return incomplete(offset + RECORD_HEADER_BYTES);
    const length = uint16(header, 3);
    if (length === 0 || length > RECORD_BYTES_MAX) return refused('malformed');
    const start = offset + RECORD_HEADER_BYTES;
    const fragment = bytes.subarray(start, start + length);
    fragments.push(fragment);
    collected += fragment.length;

    const first = collected >= HANDSHAKE_HEADER_BYTES ? joined(fragments, collected) : undefined;
    if (first !== undefined) {
      if (first[0] !== HANDSHAKE_CLIENT_HELLO) return refused('malformed');
      const total = HANDSHAKE_HEADER_BYTES + uint24(first, 1);
      if (total > CLIENT_HELLO_BYTES_MAX) return refused('too-large');
      // RFC 8446 §5.1: nothing may follow a ClientHello inside its last record.
      if (collected - fragment.length + length > total) return refused('malformed');
      if (collected === total) return first;
    }
    if (fragment.length < length) return incomplete(start + length);
    offset = start + length;
  }
  return refused('too-large');
}

function parseHello(handshake: Uint8Array): ClientHello {
  const body = new Reader(handshake.subarray(HANDSHAKE_HEADER_BYTES));
  body.skip(2 + 32); // legacy_version, random
  const sessionId = body.vector(1);
  const cipherSuites = body.vector(2);
  const compression = body.vector(1);
  if (body.overran() || sessionId.length > 32 || compression.length === 0)
    return refused('malformed');
  if (cipherSuites.length === 0 || cipherSuites.length % 2 !== 0) return refused('malformed');
  if (body.atEnd()) return { kind: 'found', serverName: undefined, alpn: [] };
  const extensions = new Reader(body.vector(2));
  if (body.overran() || !body.atEnd()) return refused('malformed');
  return parseExtensions(extensions);
}

function parseExtensions(extensions: Reader): ClientHello {
  const seen = new Set<number>();
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  while (!extensions.atEnd()) {
    const type = extensions.uint16();
    const content = extensions.vector(2);
    // RFC 8446 §4.2: no two extensions of one type; two readers could pick different ones.
    if (extensions.overran() || seen.has(type)) return refused('malformed');
    seen.add(type);
    if (type === EXTENSION_SERVER_NAME) {
      const found = parseServerName(content);
      if (found === undefined) return refused('bad-server-name');
      serverName = found;
    } else if (type === EXTENSION_ALPN) {
      const found = parseAlpn(content);
      if (found === undefined) return refused('malformed');
      alpn = found;
    }
  }
  return { kind: 'found', serverName, alpn };
}

/** RFC 6066 §3, of which only one form exists in practice: a list of exactly one host name. */
function parseServerName(content: Uint8Array): string | undefined {
  const outer = new Reader(content);
  const list = new Reader(outer.vector(2));
  const type = list.uint8();
  const name = latin1(list.vector(2));
  if (outer.overran() || !outer.atEnd() || list.overran() || !list.atEnd()) return undefined;
  return type === NAME_TYPE_HOST && SERVER_NAME.test(name) ? name : undefined;
}

/** RFC 7301 §3.1. */
function parseAlpn(content: Uint8Array): readonly string[] | undefined {
  const outer = new Reader(content);
  const list = new Reader(outer.vector(2));
  if (outer.overran() || !outer.atEnd() || list.atEnd()) return undefined;
  const protocols: string[] = [];
  while (!list.atEnd()) {
    const protocol = list.vector(1);
    if (list.overran() || protocol.length === 0) return undefined;
    protocols.push(latin1(protocol));
  }
  return protocols;
}

/** Reads forward over one container; after an overrun every read is empty. */
class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #overran = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Something claimed to be longer than its container. */
  overran(): boolean {
    return this.#overran;
  }

  atEnd(): boolean {
    return this.#overran || this.#offset === this.#bytes.length;
  }

  uint8(): number {
    return this.#take(1)[0] ?? 0;
  }

  uint16(): number {
    return uint16(this.#take(2), 0);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** A vector whose length stands before it in `lengthBytes` bytes (RFC 8446 §3.4). */
  vector(lengthBytes: 1 | 2): Uint8Array {
    return this.#take(lengthBytes === 1 ? this.uint8() : this.uint16());
  }

  #take(count: number): Uint8Array {
    const end = this.#offset + count;
    if (this.#overran || end > this.#bytes.length) {
      this.#overran = true;
      return new Uint8Array();
    }
    const taken = this.#bytes.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}

function joined(fragments: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = fragments;
  if (fragments.length === 1 && only !== undefined) return only;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const fragment of fragments) {
    whole.set(fragment, offset);
    offset += fragment.length;
  }
  return whole;
}

function uint16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function uint24(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 16) | uint16(bytes, offset + 1);
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function incomplete(bytesNeeded: number): ClientHello {
  return { kind: 'incomplete', bytesNeeded };
}

function refused(reason: ClientHelloRefusal): ClientHello {
  return { kind: 'refused', reason };
}
