/** What a reader of a body answers; see body.ts. */

import type { FieldRefusal } from './field-block.ts';

export interface BodyReader {
  next(bytes: Uint8Array, start: number, end: number): BodyStep;
  /** Whether the message is whole if the connection ends here. */
  readonly whole: boolean;
}

export type BodyStep =
  /** Every byte given has been read and the body goes on. */
  | { readonly kind: 'more' }
  /** The bytes from `start` to `end` are content; go on from there. */
  | { readonly kind: 'data'; readonly start: number; readonly end: number }
  /** The message is whole; the byte at `next`, if there is one, belongs to another. */
  | { readonly kind: 'done'; readonly next: number }
  | { readonly kind: 'refused'; readonly reason: BodyRefusal };

export type BodyRefusal =
  | 'bad-chunk-size'
  | 'bad-chunk-extension'
  /** Content that is not followed by CRLF where its size said. */
  | 'bad-chunk-end'
  | 'trailer-too-large'
  /** Content-Length, Transfer-Encoding, Host or Connection as a trailer. */
  | 'bad-trailer'
  | FieldRefusal;

export const MORE: BodyStep = { kind: 'more' };
