/**
 * An immutable map of many rows, in parts by their keys: a successor with few changes shares all other parts,
 * so it costs what changed and not what there is.
 */

const PARTS = 1_024;

export class SharedMap<V> {
  readonly #parts: readonly ReadonlyMap<string, V>[];

  constructor(parts: readonly ReadonlyMap<string, V>[] = []) {
    this.#parts = parts;
  }

  get(key: string): V | undefined {
    return this.#parts[partOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#parts[partOf(key)]?.has(key) === true;
  }

  *values(): Generator<V, void> {
    for (const part of this.#parts) yield* part.values();
  }

  /** `undefined` removes. */
  with(changes: ReadonlyMap<string, V | undefined>): SharedMap<V> {
    const parts = this.#parts.length === 0 ? emptyParts<V>() : [...this.#parts];
    const own = new Map<number, Map<string, V>>();
    for (const [key, value] of changes) {
      const at = partOf(key);
      const part = own.get(at) ?? new Map(parts[at]);
      own.set(at, part);
      parts[at] = part;
      if (value === undefined) part.delete(key);
      else part.set(key, value);
    }
    return new SharedMap(parts);
  }
}

function emptyParts<V>(): ReadonlyMap<string, V>[] {
  return Array.from({ length: PARTS }, () => new Map<string, V>());
}

/** FNV-1a. */
function partOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (PARTS - 1);
}
