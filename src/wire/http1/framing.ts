/** Where the body of a message ends (RFC 9112 §6.3). Parsed heads share the constants. */

export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** Responses only: the body ends with the connection. */
  | { readonly kind: 'until-close' };

export const NO_BODY: Framing & { kind: 'none' } = { kind: 'none' };
export const CHUNKED: Framing & { kind: 'chunked' } = { kind: 'chunked' };
export const UNTIL_CLOSE: Framing & { kind: 'until-close' } = { kind: 'until-close' };
