/**
 * Buffers of one size, shared by the connections of a process: a connection holds one only while it has
 * bytes to keep, so an idle one costs nothing and a busy one allocates nothing.
 */

export class Slabs {
  readonly #size: number;
  readonly #spareMax: number;
  readonly #spare: Buffer[] = [];

  /** `spareMax`: kept for reuse; further ones are left to the garbage collector. */
  constructor(size: number, spareMax: number) {
    this.#size = size;
    this.#spareMax = spareMax;
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** Takes back what `take` gave, or a part of it. Nothing may read it afterwards. */
  recycle(bytes: Buffer): void {
    const { buffer } = bytes;
    if (buffer.byteLength !== this.#size || this.#spare.length >= this.#spareMax) return;
    this.#spare.push(Buffer.from(buffer));
  }
}
