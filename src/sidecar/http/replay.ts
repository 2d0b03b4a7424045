/**
 * What has been sent of a request's body, kept while its client has nothing of an answer, in case the
 * request is to be sent to somebody else: as it came, and no more than `REPLAY_BYTES_MAX` of it.
 */

import { REPLAY_BYTES_MAX } from '../limits.ts';

export class Replay {
  #sent: Buffer[] | undefined;
  #bytes = 0;

  /** For a new request. */
  begin(): void {
    this.#sent = [];
    this.#bytes = 0;
  }

  /** All that was sent; undefined once it cannot be sent again. */
  get sent(): readonly Buffer[] | undefined {
    return this.#sent;
  }

  /** Keeps a copy. */
  add(bytes: Buffer): void {
    if (this.#sent === undefined) return;
    this.#bytes += bytes.length;
    if (this.#bytes > REPLAY_BYTES_MAX) this.#sent = undefined;
    else this.#sent.push(Buffer.from(bytes));
  }

  /** It cannot be sent again. */
  forget(): void {
    this.#sent = undefined;
  }
}
