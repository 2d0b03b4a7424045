/**
 * DER by node-forge's ASN.1 module alone: small writers for the templates, strict reading for peers.
 *
 * What is read is re-encoded and compared, so anything that is not the one canonical encoding (BER
 * lengths, padded integers, indefinite forms) is refused, and two parsers cannot see two things in the
 * same bytes. forge's own X.509 layer is never loaded: it cannot read EC keys and has been fooled before
 * (CVE-2025-12816, CVE-2026-33896).
 */

import { createRequire } from 'node:module';
import { DER_DEPTH_MAX } from '../limits.ts';

/** A node of forge's tree; a primitive's value is a string of bytes. */
export interface Asn1 {
  readonly tagClass: number;
  readonly type: number;
  readonly constructed: boolean;
  readonly value: string | readonly Asn1[];
}

interface ByteBuffer {
  getBytes(): string;
}

/** The part of `node-forge/lib/asn1.js` used here; the package's typings know only the whole of it. */
interface Asn1Module {
  readonly Class: Readonly<Record<'UNIVERSAL' | 'CONTEXT_SPECIFIC', number>>;
  readonly Type: Readonly<Record<TypeName, number>>;
  create(tagClass: number, type: number, constructed: boolean, value: string | Asn1[]): Asn1;
  fromDer(bytes: string, options: Readonly<Record<string, boolean | number>>): Asn1;
  toDer(node: Asn1): ByteBuffer;
  oidToDer(dotted: string): ByteBuffer;
  derToOid(bytes: string): string;
  dateToUtcTime(date: Date): string;
  dateToGeneralizedTime(date: Date): string;
}

type TypeName =
  | 'BOOLEAN'
  | 'NULL'
  | 'INTEGER'
  | 'BITSTRING'
  | 'OCTETSTRING'
  | 'OID'
  | 'UTF8'
  | 'SEQUENCE'
  | 'SET'
  | 'UTCTIME'
  | 'GENERALIZEDTIME';

const asn1 = createRequire(import.meta.url)('node-forge/lib/asn1.js') as Asn1Module;

/** The bytes are not the DER that was asked for. Callers turn it into their own refusal. */
export class DerError extends Error {}

const { Class, Type } = asn1;
const LATIN1 = 'latin1';

export function encode(node: Asn1): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), LATIN1);
}

/** Throws DerError. */
export function decode(der: Uint8Array): Asn1 {
  const bytes = Buffer.from(der).toString(LATIN1);
  let node: Asn1;
  try {
    node = asn1.fromDer(bytes, {
      strict: true,
      parseAllBytes: true,
      decodeBitStrings: false,
      maxDepth: DER_DEPTH_MAX,
    });
    if (asn1.toDer(node).getBytes() === bytes) return node;
  } catch (cause) {
    throw new DerError('is not well-formed DER', { cause });
  }
  throw new DerError('is not canonical DER');
}

export function sequence(...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...items]);
}
export function setOf(...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, [...items]);
}
export function integer(bigEndian: Uint8Array): Asn1 {
  return primitive(Class.UNIVERSAL, Type.INTEGER, bigEndian);
}
export function boolean(value: boolean): Asn1 {
  return primitive(Class.UNIVERSAL, Type.BOOLEAN, Buffer.of(value ? 0xff : 0));
}
export function nullValue(): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.NULL, false, '');
}
export function oid(dotted: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.OID, false, asn1.oidToDer(dotted).getBytes());
}
export function octetString(content: Uint8Array): Asn1 {
  return primitive(Class.UNIVERSAL, Type.OCTETSTRING, content);
}
export function bitString(content: Uint8Array, unusedBits = 0): Asn1 {
  return primitive(
    Class.UNIVERSAL,
    Type.BITSTRING,
    Buffer.concat([Buffer.of(unusedBits), content]),
  );
}
export function utf8String(text: string): Asn1 {
  return primitive(Class.UNIVERSAL, Type.UTF8, Buffer.from(text));
}
/** UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(ms: number): Asn1 {
  const date = new Date(ms);
  return date.getUTCFullYear() < 2050
    ? asn1.create(Class.UNIVERSAL, Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(Class.UNIVERSAL, Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date));
}
/** `[tag] IMPLICIT` around a primitive. */
export function tagged(tag: number, content: Uint8Array): Asn1 {
  return primitive(Class.CONTEXT_SPECIFIC, tag, content);
}
/** `[tag]` around other values: EXPLICIT, or IMPLICIT SEQUENCE and SET. */
export function taggedOf(tag: number, ...items: readonly Asn1[]): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [...items]);
}

/** The items of a SEQUENCE, SET or constructed tag. */
export function itemsOf(node: Asn1 | undefined, what: string): readonly Asn1[] {
  if (node?.constructed !== true || typeof node.value === 'string') {
    throw new DerError(`has no ${what} where one belongs`);
  }
  return node.value;
}

export function itemsOfSequence(node: Asn1 | undefined, what: string): readonly Asn1[] {
  return itemsOf(isUniversal(node, Type.SEQUENCE) ? node : undefined, what);
}

export function oidOf(node: Asn1 | undefined, what: string): string {
  if (!isUniversal(node, Type.OID)) throw new DerError(`has no ${what} where one belongs`);
  const bytes = primitiveText(node, what);
  try {
    return asn1.derToOid(bytes);
  } catch (cause) {
    throw new DerError(`has an unreadable ${what}`, { cause });
  }
}

export function bytesOf(node: Asn1 | undefined, what: string): Buffer {
  return Buffer.from(primitiveText(node, what), LATIN1);
}

export function octetsOf(node: Asn1 | undefined, what: string): Buffer {
  if (!isUniversal(node, Type.OCTETSTRING)) throw new DerError(`has no ${what} where one belongs`);
  return bytesOf(node, what);
}

/** A BIT STRING's content without the count of unused bits. */
export function bitsOf(node: Asn1 | undefined, what: string): Buffer {
  const bytes = bytesOf(isUniversal(node, Type.BITSTRING) ? node : undefined, what);
  if (bytes.length === 0) throw new DerError(`has an empty ${what}`);
  return bytes.subarray(1);
}

/** A non-negative INTEGER that fits a byte or two, such as a version or a path length. */
export function smallIntegerOf(node: Asn1 | undefined, what: string): number {
  const bytes = bytesOf(isUniversal(node, Type.INTEGER) ? node : undefined, what);
  if (bytes.length === 0 || bytes.length > 2) throw new DerError(`has an odd ${what}`);
  return bytes.readIntBE(0, bytes.length);
}

/** The value of a BOOLEAN; undefined when the node is something else. */
export function booleanOf(node: Asn1 | undefined): boolean | undefined {
  return isUniversal(node, Type.BOOLEAN) ? bytesOf(node, 'boolean')[0] !== 0 : undefined;
}

export function isTagged(node: Asn1 | undefined, tag: number): node is Asn1 {
  return node?.tagClass === Class.CONTEXT_SPECIFIC && node.type === tag;
}

function isUniversal(node: Asn1 | undefined, type: number): node is Asn1 {
  return node?.tagClass === Class.UNIVERSAL && node.type === type;
}

function primitive(tagClass: number, type: number, content: Uint8Array): Asn1 {
  const bytes = Buffer.from(content).toString(LATIN1);
  return asn1.create(tagClass, type, false, bytes);
}

function primitiveText(node: Asn1 | undefined, what: string): string {
  if (node === undefined || node.constructed || typeof node.value !== 'string') {
    throw new DerError(`has no ${what} where one belongs`);
  }
  return node.value;
}
