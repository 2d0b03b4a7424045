/**
 * Field names looked up where they lie, whatever their case (RFC 9110 §5.1), without making a string
 * of them: most names of a head are of no interest to a proxy.
 */

/** Byte → its lower case. */
const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
);
/** `_` as `-`, too. */
const FOLDED = LOWER.map(byte => (byte === 0x5f ? 0x2d : byte));

interface Entry<Value> {
  readonly name: string;
  readonly value: Value;
}

/**
 * Lower-case names and what they stand for. `_` counts as `-`: to an application behind CGI or WSGI
 * `X_Forwarded_Client_Cert` is the field that it imitates.
 */
export class FieldNames<Value> {
  /** By length and first letter, which nearly always settles it. */
  readonly #slots: (Entry<Value>[] | undefined)[] = [];
  readonly #prefixes: Entry<Value>[] = [];

  /** A name that ends in `*` stands for every name that begins so. */
  constructor(names: Readonly<Record<string, Value>>) {
    for (const [name, value] of Object.entries(names)) {
      if (name.endsWith('*')) {
        this.#prefixes.push({ name: name.slice(0, -1), value });
        continue;
      }
      const slot = slotOf(name.length, name.charCodeAt(0));
      while (this.#slots.length <= slot) this.#slots.push(undefined);
      (this.#slots[slot] ??= []).push({ name, value });
    }
  }

  /** Of the name from `start` to `end` in latin1 `text`. */
  find(text: string, start: number, end: number): Value | undefined {
    const slot = slotOf(end - start, text.charCodeAt(start));
    const entries = slot < this.#slots.length ? this.#slots[slot] : undefined;
    if (entries !== undefined) {
      for (const entry of entries)
        if (isPrefix(entry.name, FOLDED, text, start)) return entry.value;
    }
    for (const entry of this.#prefixes) {
      if (end - start >= entry.name.length && isPrefix(entry.name, FOLDED, text, start))
        return entry.value;
    }
    return undefined;
  }
}

/** Whether the name from `start` to `end` in `text` is the lower-case `name`. */
export function isName(name: string, text: string, start: number, end: number): boolean {
  return name.length === end - start && isPrefix(name, LOWER, text, start);
}

function isPrefix(name: string, fold: Uint8Array, text: string, start: number): boolean {
  for (let i = 0; i < name.length; i++) {
    if (fold[text.charCodeAt(start + i)] !== name.charCodeAt(i)) return false;
  }
  return true;
}

function slotOf(length: number, first: number): number {
  return (length << 5) | (first & 31);
}
