/**
 * What a client has sent before its turn, unread: the rest of a head, a body whose way is not known yet,
 * the requests that follow. While there is some the client is paused, so it is at most what one read
 * brought and a head that has begun.
 */

import type { Channel } from '../bytes/channel.ts';

export class ReadAhead {
  readonly #client: Channel;
  #bytes: Buffer | undefined;

  constructor(client: Channel) {
    this.#client = client;
  }

  get isEmpty(): boolean {
    return this.#bytes === undefined;
  }

  /** Keeps a copy. */
  hold(bytes: Buffer): void {
    this.#bytes = this.#bytes === undefined ? Buffer.from(bytes) : this.joined(bytes);
    this.#client.pause();
  }

  /** Of a head that has begun: the client is to send the rest of it. */
  begin(bytes: Buffer): void {
    this.#bytes = Buffer.from(bytes);
  }

  /** All of it, and the client goes on. */
  take(): Buffer | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined) return undefined;
    this.#bytes = undefined;
    this.#client.resume();
    return bytes;
  }

  /** What is held with `bytes` behind it, which stay the caller's when nothing is. */
  joined(bytes: Buffer): Buffer {
    if (this.#bytes === undefined) return bytes;
    const all = Buffer.concat([this.#bytes, bytes]);
    this.#bytes = undefined;
    return all;
  }

  drop(): void {
    this.#bytes = undefined;
  }
}
