/**
 * A digest of what a reader of the table holds: which records, each at which revision.
 *
 * Both ends of a watch compute it, and a difference means that one of them has missed something. It
 * does not depend on an order, and adding a record twice removes it again, so it can be kept up to date
 * record by record. It finds faults, not attacks: the peer is authenticated.
 */

export class TableDigest {
  #high = 0;
  #low = 0;

  /** Adds a record, or removes one that was added. The key is that of `tableKey` or an intent's. */
  toggle(key: string, revision: bigint): void {
    const text = `${key}@${revision}`;
    this.#high ^= hash(text, 0x811c9dc5);
    this.#low ^= hash(text, 0x9e3779b9);
  }

  get value(): bigint {
    return (BigInt(this.#high >>> 0) << 32n) | BigInt(this.#low >>> 0);
  }
}

/** FNV-1a, then MurmurHash3's finalizer, without which similar keys would cancel each other out. */
function hash(text: string, seed: number): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
