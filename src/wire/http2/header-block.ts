/**
 * A header block put together from HEADERS and its CONTINUATIONs (RFC 9113 §4.3), within limits that hold
 * before anything is decoded.
 */

import { H2, Http2Violation } from './error-codes.ts';
import { CONTINUATIONS_MAX, HEADER_BLOCK_BYTES_MAX } from './limits.ts';

export class HeaderBlock {
  /** 0: none is open. While one is, only its CONTINUATIONs may come. */
  #streamId = 0;
  #endStream = false;
  #fragments: Buffer[] = [];
  #bytes = 0;

  get streamId(): number {
    return this.#streamId;
  }

  get endStream(): boolean {
    return this.#endStream;
  }

  open(streamId: number, endStream: boolean): void {
    this.#streamId = streamId;
    this.#endStream = endStream;
    this.#fragments = [];
    this.#bytes = 0;
  }

  /** Keeps a copy. The whole block once `isLast`; throws Http2Violation at a limit. */
  add(fragment: Buffer, isLast: boolean): Buffer | undefined {
    this.#bytes += fragment.length;
    if (this.#bytes > HEADER_BLOCK_BYTES_MAX || this.#fragments.length > CONTINUATIONS_MAX) {
      throw new Http2Violation(
        H2.ENHANCE_YOUR_CALM,
        `found a header block of more than ${HEADER_BLOCK_BYTES_MAX} bytes or ${CONTINUATIONS_MAX} CONTINUATION frames`,
      );
    }
    if (isLast) {
      this.#streamId = 0;
      // The usual block is one frame, and is used before its chunk goes.
      return this.#fragments.length === 0
        ? fragment
        : Buffer.concat([...this.#fragments, fragment]);
    }
    this.#fragments.push(Buffer.from(fragment));
    return undefined;
  }
}
