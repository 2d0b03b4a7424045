/**
 * HPACK encoding (RFC 7541) with the static table and plain literals alone.
 *
 * Streams live long and heads are few, so a dynamic table would cost memory for nothing. Never Huffman:
 * it saves bytes that are few already.
 */

import type { HeaderField } from './hpack-decoder.ts';
import { STATIC_TABLE } from './hpack-static-table.ts';

/**
 * Says that our dynamic table is empty. It opens the first block of a connection, because a peer that
 * allows less than the default has to be told (RFC 7541 §4.2), and an empty table suits every peer.
 */
export const EMPTY_TABLE_UPDATE = Buffer.of(0x20);

/** Prefix, and three bytes that carry any length below 2 MiB. */
const INTEGER_BYTES_MAX = 4;

const BY_FIELD = new Map<string, number>();
const BY_NAME = new Map<string, number>();
for (const [position, [name, value]] of STATIC_TABLE.entries()) {
  BY_FIELD.set(`${name}\0${value}`, position + 1);
  if (!BY_NAME.has(name)) BY_NAME.set(name, position + 1);
}

/** Names and values are latin1. */
export function encodeFields(fields: readonly HeaderField[]): Buffer {
  let bytesMax = 0;
  for (const [name, value] of fields)
    bytesMax += name.length + value.length + 3 * INTEGER_BYTES_MAX;
  const block = Buffer.allocUnsafe(bytesMax);
  let at = 0;
  for (const [name, value] of fields) {
    const index = BY_FIELD.get(`${name}\0${value}`);
    if (index !== undefined) {
      at = writeInteger(block, at, 0x80, 7, index);
      continue;
    }
    const nameIndex = BY_NAME.get(name) ?? 0;
    at = writeInteger(block, at, 0x00, 4, nameIndex);
    if (nameIndex === 0) at = writeString(block, at, name);
    at = writeString(block, at, value);
  }
  return block.subarray(0, at);
}

function writeInteger(
  block: Buffer,
  start: number,
  pattern: number,
  prefixBits: number,
  value: number,
): number {
  let at = start;
  const mask = 2 ** prefixBits - 1;
  if (value < mask) {
    block[at++] = pattern | value;
    return at;
  }
  block[at++] = pattern | mask;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) block[at++] = (rest & 0x7f) | 0x80;
  block[at++] = rest;
  return at;
}

function writeString(block: Buffer, at: number, text: string): number {
  const start = writeInteger(block, at, 0x00, 7, text.length);
  return start + block.write(text, start, 'latin1');
}
