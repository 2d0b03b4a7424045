/** What the HTTP/1.1 codecs bound, and the answer at the bound. Callers' timeouts bound the waiting. */

/** Start line, fields and empty line of one head; more is refused (431). */
export const HEAD_BYTES_MAX = 16 * 1024;
/** Field lines of one head or trailer section; more is refused (431), never cut off. */
export const FIELDS_MAX = 100;
/** Request target; more is refused (414). */
export const TARGET_BYTES_MAX = 8 * 1024;
/** Method; the longest registered one has 16 letters (RFC 9110 §18.2). More is refused (501). */
export const METHOD_BYTES_MAX = 24;
/** Extensions of one chunk, which are read past; more is refused. */
export const CHUNK_EXTENSION_BYTES_MAX = 256;
/** Digits of one chunk size; 2^53 - 1, the largest size there is, has 14. More is refused. */
export const CHUNK_SIZE_DIGITS_MAX = 16;
/** Trailer section of one chunked body, held until it is whole; more is refused. */
export const TRAILER_BYTES_MAX = 4 * 1024;
