/**
 * HPACK decoding (RFC 7541): header blocks to fields, with the connection's dynamic table.
 *
 * Limits hold for what comes out, not for what went in: an index of one byte can stand for 4 KiB. Each
 * field is counted before it is made. Every failure ends the connection, since the table is then unknown.
 */

import { H2, Http2Violation } from './error-codes.ts';
import { STATIC_TABLE } from './hpack-static-table.ts';
import { decodeHuffman } from './huffman.ts';
import { HEADER_FIELDS_MAX, HEADER_LIST_BYTES_MAX, HEADER_TABLE_BYTES_MAX } from './limits.ts';

/** Values are bytes read as latin1. */
export type HeaderField = readonly [name: string, value: string];

/** RFC 7541 §4.1 */
const FIELD_OVERHEAD_BYTES = 32;

export class HpackDecoder {
  /** Oldest first; RFC 7541 §2.3.3 counts from the newest. */
  readonly #table: HeaderField[] = [];
  #tableBytes = 0;
  #tableBytesMax = HEADER_TABLE_BYTES_MAX;

  /** Throws Http2Violation. */
  decode(block: Buffer): HeaderField[] {
    const reader = new BlockReader(block);
    const fields: HeaderField[] = [];
    let listBytes = 0;
    while (!reader.done) {
      const first = reader.peek();
      if ((first & 0xe0) === 0x20) {
        // RFC 7541 §4.2: only at the beginning of a block.
        if (fields.length > 0) throw compression('a table size update after a field');
        this.#resize(reader.integer(5));
        continue;
      }
      if (fields.length >= HEADER_FIELDS_MAX) {
        throw tooMuch(`more than ${HEADER_FIELDS_MAX} header fields`);
      }
      const field = first & 0x80 ? this.#entry(reader.integer(7)) : this.#literal(reader, first);
      listBytes += sizeOf(field);
      if (listBytes > HEADER_LIST_BYTES_MAX) {
        throw tooMuch(`a header list of more than ${HEADER_LIST_BYTES_MAX} bytes`);
      }
      fields.push(field);
    }
    return fields;
  }

  /** RFC 7541 §6.2: with indexing (01), without (0000) and never indexed (0001). */
  #literal(reader: BlockReader, first: number): HeaderField {
    const indexed = (first & 0x40) !== 0;
    const index = reader.integer(indexed ? 6 : 4);
    const name = index === 0 ? reader.string() : this.#entry(index)[0];
    const field: HeaderField = [name, reader.string()];
    if (indexed) this.#insert(field);
    return field;
  }

  #entry(index: number): HeaderField {
    const entry =
      index <= STATIC_TABLE.length
        ? STATIC_TABLE[index - 1]
        : this.#table[this.#table.length - (index - STATIC_TABLE.length)];
    if (entry === undefined) throw compression(`no table entry ${index}`);
    return entry;
  }

  #insert(field: HeaderField): void {
    const bytes = sizeOf(field);
    this.#evict(this.#tableBytesMax - bytes);
    // RFC 7541 §4.4: a field larger than the table only empties it.
    if (bytes > this.#tableBytesMax) return;
    this.#table.push(field);
    this.#tableBytes += bytes;
  }

  #resize(bytesMax: number): void {
    if (bytesMax > HEADER_TABLE_BYTES_MAX) {
      throw compression(`a table of ${bytesMax} bytes where ${HEADER_TABLE_BYTES_MAX} are allowed`);
    }
    this.#tableBytesMax = bytesMax;
    this.#evict(bytesMax);
  }

  #evict(bytesMax: number): void {
    let evicted = 0;
    while (this.#tableBytes > bytesMax) {
      const oldest = this.#table[evicted];
      if (oldest === undefined) break;
      this.#tableBytes -= sizeOf(oldest);
      evicted++;
    }
    this.#table.splice(0, evicted);
  }
}

/** Integers and strings of one block (RFC 7541 §5). */
class BlockReader {
  readonly #block: Buffer;
  #at = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get done(): boolean {
    return this.#at >= this.#block.length;
  }

  peek(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw compression('a header block that ends inside a field');
    return byte;
  }

  integer(prefixBits: number): number {
    const mask = 2 ** prefixBits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    // Three more bytes reach 2 MiB, far over every limit here.
    for (let shift = 0; shift < 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw compression('an integer of more than four bytes');
  }

  string(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.#block.length) throw compression('a string that ends after its header block');
    const start = this.#at;
    this.#at = end;
    if (!isHuffman) return this.#block.toString('latin1', start, end);
    const decoded = decodeHuffman(this.#block.subarray(start, end));
    if (decoded === undefined) throw compression('a string that is no Huffman code');
    return decoded;
  }

  #byte(): number {
    const byte = this.peek();
    this.#at++;
    return byte;
  }
}

function sizeOf([name, value]: HeaderField): number {
  return name.length + value.length + FIELD_OVERHEAD_BYTES;
}

function compression(found: string): Http2Violation {
  return new Http2Violation(H2.COMPRESSION_ERROR, `found ${found}`);
}

function tooMuch(found: string): Http2Violation {
  return new Http2Violation(H2.ENHANCE_YOUR_CALM, `found ${found}`);
}
