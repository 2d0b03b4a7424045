/**
 * Output buffers, shared by the connections of a process: a connection holds one only while it has
 * output, so an idle one costs nothing and a busy one allocates nothing.
 */

import { SLAB_BYTES, SPARE_SLABS_MAX } from './limits.ts';

export class Slabs {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  /** Takes back what `takeOutput` gave, once it has been written. Nothing may read it afterwards. */
  recycle(output: Buffer): void {
    const { buffer } = output;
    if (buffer.byteLength !== SLAB_BYTES || this.#spare.length >= SPARE_SLABS_MAX) return;
    this.#spare.push(Buffer.from(buffer));
  }
}
