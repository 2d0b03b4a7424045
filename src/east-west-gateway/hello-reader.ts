/**
 * The first bytes of an accepted connection, up to a whole ClientHello. They are kept as they came, to
 * be replayed to the endpoint; nothing is ever written back.
 */

import { type ClientHelloRefusal, readClientHello } from '../wire/client-hello.ts';

export type HelloOutcome =
  | { readonly kind: 'incomplete' }
  | {
      readonly kind: 'found';
      readonly serverName: string | undefined;
      /** The hello and whatever came with it. */
      readonly bytes: Buffer;
    }
  | { readonly kind: 'refused'; readonly reason: ClientHelloRefusal };

const INCOMPLETE: HelloOutcome = { kind: 'incomplete' };

export class HelloReader {
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #bytesNeeded = 0;

  /** Keeps a copy of the chunk. To be called until the answer is another than 'incomplete'. */
  read(chunk: Buffer): HelloOutcome {
    this.#chunks.push(Buffer.from(chunk));
    this.#length += chunk.length;
    // A hello sent byte by byte is joined once, not once per byte.
    if (this.#length < this.#bytesNeeded) return INCOMPLETE;
    const bytes = this.#joined();
    const hello = readClientHello(bytes);
    if (hello.kind === 'refused') return hello;
    if (hello.kind === 'found') return { kind: 'found', serverName: hello.serverName, bytes };
    this.#bytesNeeded = hello.bytesNeeded;
    return INCOMPLETE;
  }

  #joined(): Buffer {
    const [only] = this.#chunks;
    return this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
  }
}
